import { open, writeFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { FileError, SwitchyardError } from '../base/errors.js'
import type { HostTensor } from '../base/host-tensor.js'
import { writeFolderAtomically } from './atomic.js'
import { isPlainName, namesIn, withPath } from './files.js'
import { byteLength, quote } from './format.js'
import type { TensorInfo, TensorSource, WriteOptions } from './format.js'
import { SafetensorsBody, layOut } from './safetensors.js'
import type { SafetensorsLayout } from './safetensors.js'

export interface HuggingFaceWriteOptions extends WriteOptions {
  /** The tensors of one file take at most so many bytes, a larger tensor has one to itself. 5 GB unless told, as Hugging Face's. */
  maxShardBytes?: number
  /** What stands beside the weights, by file name: config.json. */
  files?: Readonly<Record<string, string | Uint8Array>>
}

/**
 * Writes a Hugging Face folder: `model.safetensors`, or shards `model-00001-of-00003.safetensors` with their index. The
 * folder appears complete or not at all, and a replaced one is replaced as a whole. Tensors that come in the order of
 * the source's `infos` need one open file at a time.
 */
export async function writeShards(
  path: string,
  source: TensorSource,
  options: HuggingFaceWriteOptions = {},
): Promise<void> {
  const { maxShardBytes = 5e9, files = {}, metadata = { format: 'pt' }, replace = false } = options
  if (!(maxShardBytes >= 1))
    throw new SwitchyardError(`maxShardBytes is ${maxShardBytes}: a shard has to hold something`)
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

  const shards = parts.map((infos, i) => new Shard(path, names[i], layOut(join(path, names[i]), infos, metadata)))
  const shardOf = new Map<string, Shard>()
  parts.forEach((infos, i) =>
    infos.forEach(({ name }) => {
      if (shardOf.has(name))
        throw new SwitchyardError(`${path}: tensor ${quote(name)} cannot be written: there are two of this name`)
      shardOf.set(name, shards[i])
    }),
  )

  await writeFolderAtomically(
    path,
    async temp => {
      try {
        for await (const [name, tensor] of source.entries) {
          const shard = shardOf.get(name)
          if (shard === undefined)
            throw new SwitchyardError(`${path}: tensor ${quote(name)} came without having been announced`)
          await shard.put(temp, name, tensor)
        }
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

/** In the order of the tensors; at least one part. */
function split(infos: readonly TensorInfo[], maxShardBytes: number): TensorInfo[][] {
  const parts: TensorInfo[][] = [[]]
  let used = 0
  for (const info of infos) {
    const bytes = byteLength(info.dtype, info.shape) ?? 0 // what has no length is refused where it is laid out
    if (used > 0 && used + bytes > maxShardBytes) {
      parts.push([])
      used = 0
    }
    parts.at(-1)!.push(info)
    used += bytes
  }
  return parts
}

/** Put together by hand: an object would bring names like "0" to the front. */
function indexText(parts: readonly (readonly TensorInfo[])[], names: readonly string[]): string {
  const total = parts.flat().reduce((sum, { dtype, shape }) => sum + (byteLength(dtype, shape) ?? 0), 0)
  const lines = parts.flatMap((infos, i) =>
    infos.map(({ name }) => `    ${JSON.stringify(name)}: ${JSON.stringify(names[i])}`),
  )
  return `{\n  "metadata": {\n    "total_size": ${total}\n  },\n  "weight_map": {\n${lines.join(',\n')}\n  }\n}\n`
}

/** One file, made when its first tensor comes and closed after its last. `path` is the folder's final name, for messages. */
class Shard {
  private handle: FileHandle | undefined
  private body: SafetensorsBody | undefined

  constructor(
    private readonly path: string,
    private readonly file: string,
    private readonly layout: SafetensorsLayout,
  ) {}

  async put(temp: string, name: string, tensor: HostTensor): Promise<void> {
    const body = await this.begin(temp)
    await body.put(name, tensor)
    if (body.complete) await this.close()
  }

  async end(temp: string): Promise<void> {
    ;(await this.begin(temp)).end()
    await this.close()
  }

  async close(): Promise<void> {
    await this.handle?.close()
    this.handle = undefined
  }

  private async begin(temp: string): Promise<SafetensorsBody> {
    if (this.body !== undefined) return this.body
    const path = join(this.path, this.file)
    this.handle = await withPath(path, () => open(join(temp, this.file), 'wx'))
    this.body = await SafetensorsBody.begin(path, this.handle, this.layout)
    return this.body
  }
}

/** What stands in a Hugging Face folder of weights. */
const ownFile = /^[^.].*\.(safetensors|bin|json|model|txt|jinja|md)$/

/** To replace means to delete: only a folder of weights, or an empty one, may be; not one with a .git in it. */
async function refuseForeignFolder(path: string): Promise<void> {
  const foreign = (await namesIn(path)).filter(name => !ownFile.test(name))
  if (foreign.length === 0) return
  throw new FileError(
    `${path}: this folder holds more than a model (${foreign.slice(0, 3).map(quote).join(', ')}) and is not replaced: choose another name, or remove it first`,
  )
}
