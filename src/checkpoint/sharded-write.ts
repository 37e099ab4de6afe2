import { open, writeFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { FileError, SwitchyardError } from '../base/errors.js'
import { writeFolderAtomically } from './atomic.js'
import { isPlainName, namesIn, withPath, writeExactly } from './files.js'
import { byteLength, listNames, quote } from './format.js'
import type { TensorInfo, TensorSource, WriteOptions } from './format.js'
import type { StoredTensor } from './safetensors-header.js'
import { safetensorsLayout, safetensorsRules } from './safetensors-layout.js'
import type { SafetensorsLayout } from './safetensors-layout.js'
import { checkAnnounced, delivered } from './tensor-source.js'
import type { DeliveredBytes } from './tensor-source.js'

export interface HuggingFaceWriteOptions extends WriteOptions {
  /**
   * Maximum bytes of tensors in one file (default 5 GB, as in Hugging Face). A larger tensor gets a file of its own.
   */
  maxShardBytes?: number
  /** Further files of the folder by name: config.json. */
  files?: Readonly<Record<string, string | Uint8Array>>
}

/**
 * Writes a Hugging Face folder: `model.safetensors`, or shards `model-00001-of-00003.safetensors` with their index. The
 * folder appears complete or not at all, also when it replaces another. If tensors are delivered in the order in which
 * they were announced, one file is open at a time.
 */
export async function writeShards(
  path: string,
  source: TensorSource,
  options: HuggingFaceWriteOptions = {},
): Promise<void> {
  const { maxShardBytes = 5e9, files = {}, metadata = { format: 'pt' }, replace = false } = options
  if (!(maxShardBytes >= 1)) throw new SwitchyardError(`maxShardBytes is ${maxShardBytes}: it must be at least 1`)
  const parts = split(source.infos, maxShardBytes)
  const names = parts.map((_, i) =>
    parts.length === 1 ? 'model.safetensors' : `model-${digits(i + 1)}-of-${digits(parts.length)}.safetensors`,
  )
  const texts = { ...files, ...(parts.length > 1 ? { 'model.safetensors.index.json': indexText(parts, names) } : {}) }
  for (const name of Object.keys(files)) {
    if (!isPlainName(name) || !ownFile.test(name) || /^(model|pytorch_model)\b/.test(name))
      throw new SwitchyardError(`${path}: ${quote(name)} cannot be the name of a file beside the weights`)
  }
  if (replace) await refuseForeignFolder(path)

  checkAnnounced(path, source.infos, safetensorsRules)
  const shards = parts.map(
    (infos, i) => new Shard(path, names[i], safetensorsLayout(join(path, names[i]), infos, metadata)),
  )
  const places = new Map<string, ShardedTensor>(shards.flatMap(shard => [...shard.tensors()]))

  await writeFolderAtomically(
    path,
    async temp => {
      try {
        for await (const piece of delivered(path, source.entries, places)) await piece.info.shard.put(temp, piece)
        for (const shard of shards) await shard.end(temp)
      } finally {
        for (const shard of shards) await shard.close()
      }
      for (const [name, text] of Object.entries(texts))
        await withPath(join(path, name), () => writeFile(join(temp, name), text))
    },
    { replace },
  )
}

const digits = (n: number): string => String(n).padStart(5, '0')

/** Divides the tensors, in their order, into the shards' tensors. At least one shard. */
function split(infos: readonly TensorInfo[], maxShardBytes: number): TensorInfo[][] {
  const parts: TensorInfo[][] = [[]]
  let used = 0
  for (const info of infos) {
    const bytes = byteLength(info.dtype, info.shape) ?? 0 // an invalid shape is refused by safetensorsLayout
    if (used > 0 && used + bytes > maxShardBytes) {
      parts.push([])
      used = 0
    }
    parts.at(-1)!.push(info)
    used += bytes
  }
  return parts
}

/** The index file's JSON. It is concatenated: an object would move names like "0" to the front. */
function indexText(parts: readonly (readonly TensorInfo[])[], names: readonly string[]): string {
  const total = parts.flat().reduce((sum, { dtype, shape }) => sum + (byteLength(dtype, shape) ?? 0), 0)
  const lines = parts.flatMap((infos, i) =>
    infos.map(({ name }) => `    ${JSON.stringify(name)}: ${JSON.stringify(names[i])}`),
  )
  return `{\n  "metadata": {\n    "total_size": ${total}\n  },\n  "weight_map": {\n${lines.join(',\n')}\n  }\n}\n`
}

/** A tensor's place in its shard, and the shard. */
interface ShardedTensor extends StoredTensor {
  readonly shard: Shard
}

/** One file of a folder. It is created when its first tensor is written and closed after its last. */
class Shard {
  private handle: FileHandle | undefined
  private written = 0

  /** `folder`: the final path of the folder, for messages. */
  constructor(
    private readonly folder: string,
    private readonly file: string,
    private readonly layout: SafetensorsLayout,
  ) {}

  *tensors(): Generator<[name: string, tensor: ShardedTensor]> {
    for (const [name, tensor] of this.layout.tensors) yield [name, { ...tensor, shard: this }]
  }

  async put(temp: string, { info, offset, bytes, isLast }: DeliveredBytes<StoredTensor>): Promise<void> {
    const { header, tensors } = this.layout
    if (this.handle === undefined) await this.create(temp)
    const position = header.byteLength + info.begin + offset
    await withPath(join(this.folder, this.file), () => writeExactly(this.handle!, bytes, position))
    if (isLast && ++this.written === tensors.size) await this.close()
  }

  /** Creates the file of a shard without tensors: the one file of an empty model. */
  async end(temp: string): Promise<void> {
    if (this.layout.tensors.size === 0) await this.create(temp)
    await this.close()
  }

  async close(): Promise<void> {
    await this.handle?.close()
    this.handle = undefined
  }

  private async create(temp: string): Promise<void> {
    await withPath(join(this.folder, this.file), async () => {
      this.handle = await open(join(temp, this.file), 'wx')
      await writeExactly(this.handle, this.layout.header, 0)
    })
  }
}

/** Names of files that belong in a Hugging Face folder of weights. */
const ownFile = /^[^.].*\.(safetensors|bin|json|model|txt|jinja|md)$/

/** Replacing deletes the old folder. Throws a FileError if it holds anything but weights (a .git, say). */
async function refuseForeignFolder(path: string): Promise<void> {
  const foreign = (await namesIn(path)).filter(name => !ownFile.test(name))
  if (foreign.length === 0) return
  throw new FileError(
    `${path}: this folder holds more than a model (${listNames(foreign)}) and is not replaced: choose another name, or remove it first`,
  )
}
