import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { FileError } from '../base/errors.js'
import { formatCount } from '../base/format.js'
import type { HostTensor } from '../base/host-tensor.js'
import { isFile, withPath } from './files.js'
import { closedReader, listItems, listNames, quote, unknownTensor } from './format.js'
import type { CheckpointFormat, CheckpointReader, RemoteRange, StoredBytes, TensorInfo } from './format.js'
import { isIndex, readIndex, weightFiles } from './index-file.js'
import { safetensors } from './safetensors.js'
import { writeShards } from './sharded-write.js'
import { torch } from './torch/torch.js'

type MayBeAbsent = (name: string, present: Iterable<string>) => boolean

interface OpenOptions {
  readonly mayBeAbsent?: MayBeAbsent
  /** Default: the files in the folder. */
  readonly files?: WeightFiles
}

/** The files of weights of a folder. Some may be elsewhere, as in a folder of a hub's cache. */
export interface WeightFiles {
  has(name: string): Promise<boolean>
  open(name: string): Promise<CheckpointReader>
  /** Maximum number of open shards: the operating system limits the open files of a process. */
  readonly maxOpen: number
}

/** The files of weights in a folder on disk. */
export const filesIn = (folder: string): WeightFiles => ({
  has: name => isFile(join(folder, name)),
  open: name => formatOf(name).open(join(folder, name)),
  maxOpen: 32,
})

const formatOf = (name: string): CheckpointFormat => (name.endsWith('.bin') ? torch : safetensors)

/** How many headers of shards are read at the same time. */
const HEADERS_AT_ONCE = 8

/**
 * Hugging Face folders of one weights file or of shards, and index files. Reads safetensors and torch files, writes
 * safetensors.
 */
export const huggingface = {
  name: 'huggingface',

  async detect(path: string): Promise<boolean> {
    return (await find(path)) !== undefined
  },

  /**
   * `mayBeAbsent`: whether an index may list a tensor that no shard holds, given the names that the shards hold. By
   * default, each such tensor is an error.
   */
  async open(path: string, { mayBeAbsent = () => false, files }: OpenOptions = {}): Promise<CheckpointReader> {
    await withPath(path, () => stat(path))
    const found = await find(path, files)
    if (found === undefined) throw await noWeights(path)
    const weights = files ?? filesIn(dirname(found))
    return isIndex(found) ? openIndex(found, weights, mayBeAbsent) : weights.open(basename(found))
  },

  write: writeShards,
} satisfies CheckpointFormat

/** Files of weights that only other libraries read, and how transformers opens them. */
const otherFiles: Readonly<Record<string, string>> = {
  'tf_model.h5': 'from_tf=True',
  'flax_model.msgpack': 'from_flax=True',
}

async function noWeights(path: string): Promise<FileError> {
  for (const [file, option] of Object.entries(otherFiles))
    if (await isFile(join(path, file)))
      return new FileError(
        `${path}: the only weights here are in ${file}, which cannot be read: open the model in Python with from_pretrained(..., ${option}) of transformers 4, and save it with save_pretrained`,
      )
  return new FileError(`${path}: there are no weights here: the folder has none of ${weightFiles.join(', ')}`)
}

/** The weights file or index to read: the first of `weightFiles` in a folder, or the path itself if it is an index. */
async function find(path: string, files = filesIn(path)): Promise<string | undefined> {
  for (const file of weightFiles) if (await files.has(file)) return join(path, file)
  return isIndex(path) && (await isFile(path)) ? path : undefined
}

async function openIndex(path: string, files: WeightFiles, mayBeAbsent: MayBeAbsent): Promise<CheckpointReader> {
  const weightMap = await readIndex(path)
  const shards = new Shards(files)
  try {
    const checked = await checkShards(path, weightMap, files, shards, mayBeAbsent)
    return new ShardedReader(path, shards, weightMap, checked)
  } catch (error) {
    await shards.close()
    throw error
  }
}

/** What the headers of all shards say. */
interface CheckedShards {
  readonly infos: ReadonlyMap<string, TensorInfo>
  readonly metadata: ReadonlyMap<string, string>
  readonly notices: readonly string[]
}

/**
 * Checks that every shard holds exactly the tensors that the index names for it, but for those that may be absent.
 * Reads the shards' headers.
 */
async function checkShards(
  path: string,
  weightMap: ReadonlyMap<string, string>,
  files: WeightFiles,
  shards: Shards,
  mayBeAbsent: MayBeAbsent,
): Promise<CheckedShards> {
  const names = [...new Set(weightMap.values())]
  const missing: string[] = []
  for (const name of names) if (!(await files.has(name))) missing.push(name)
  if (missing.length > 0)
    throw new FileError(
      `${path}: ${formatCount(missing.length)} of ${formatCount(names.length)} shards are missing (${listNames(missing)}): download them into the same folder`,
    )

  const found = new Map<string, TensorInfo>()
  const surplus: [string, string][] = []
  let metadata: ReadonlyMap<string, string> | undefined
  const notices: string[] = []
  for (let i = 0; i < names.length; i += HEADERS_AT_ONCE)
    for (const { file, ...shard } of await Promise.all(
      names.slice(i, i + HEADERS_AT_ONCE).map(file =>
        shards.use(file, async reader => ({
          file,
          metadata: reader.metadata,
          notices: reader.notices ?? [],
          infos: reader.list(),
        })),
      ),
    )) {
      metadata ??= shard.metadata
      notices.push(...shard.notices.map(notice => `${file}: ${notice}`))
      for (const info of shard.infos) {
        if (weightMap.get(info.name) === file) found.set(info.name, info)
        else surplus.push([info.name, file])
      }
    }
  const absent = Array.from(weightMap).filter(([name]) => !found.has(name) && !mayBeAbsent(name, found.keys()))
  const mixed = 'the index and the shards are of different models, download them again together'
  if (absent.length > 0)
    throw new FileError(
      `${path}: ${formatCount(absent.length)} tensors are not in the shard that the index names (${listItems(absent.map(where))}): ${mixed}`,
    )
  if (surplus.length > 0)
    throw new FileError(
      `${path}: ${formatCount(surplus.length)} tensors are in a shard that the index does not name for them (${listItems(surplus.map(where))}): ${mixed}`,
    )
  return {
    infos: new Map(
      Array.from(weightMap.keys()).flatMap(name => {
        const info = found.get(name)
        return info === undefined ? [] : [[name, info] as const]
      }),
    ),
    metadata: metadata ?? new Map(),
    notices,
  }
}

class ShardedReader implements CheckpointReader {
  private closed = false
  private readonly infos: ReadonlyMap<string, TensorInfo>
  readonly metadata: ReadonlyMap<string, string>
  readonly notices: readonly string[]

  constructor(
    readonly path: string,
    private readonly shards: Shards,
    private readonly weightMap: ReadonlyMap<string, string>,
    checked: CheckedShards,
  ) {
    this.infos = checked.infos
    this.metadata = checked.metadata
    this.notices = checked.notices
  }

  list(): readonly TensorInfo[] {
    return [...this.infos.values()]
  }

  async read(name: string): Promise<HostTensor> {
    return this.use(name, reader => reader.read(name))
  }

  async locateRemote(name: string): Promise<RemoteRange | undefined> {
    this.find(name)
    return this.shards.use(this.weightMap.get(name)!, async reader => reader.locateRemote?.(name))
  }

  private find(name: string): TensorInfo {
    if (this.closed) throw closedReader(this.path, name)
    const info = this.infos.get(name)
    if (info === undefined) throw unknownTensor(this.path, name, this.infos)
    return info
  }

  /** A tensor, or its place, from the shard that holds it. */
  private async use<T extends Omit<TensorInfo, 'name'> | undefined>(
    name: string,
    get: (reader: CheckpointReader) => Promise<T> | undefined,
  ): Promise<T> {
    const info = this.find(name)
    const tensor = (await this.shards.use(this.weightMap.get(name)!, async reader => get(reader))) as T
    // The shard may have been closed and reopened since its header was read, and replaced by another file in between.
    if (tensor === undefined || (tensor.dtype === info.dtype && tensor.shape.join() === info.shape.join()))
      return tensor
    throw new FileError(
      `${this.path}: tensor ${quote(name)} was ${info.dtype}[${info.shape}] when the checkpoint was opened and is ${tensor.dtype}[${tensor.shape}] now: its shard has changed, open the checkpoint again`,
    )
  }

  async locate(name: string): Promise<StoredBytes | undefined> {
    return this.use(name, reader => reader.locate?.(name))
  }

  async close(): Promise<void> {
    this.closed = true
    await this.shards.close()
  }
}

interface OpenShard {
  readonly reader: Promise<CheckpointReader>
  users: number
}

/** Opens shards when they are used, and keeps the most recently used ones open. */
class Shards {
  private readonly open = new Map<string, OpenShard>()
  private limit: number

  constructor(private readonly files: WeightFiles) {
    this.limit = files.maxOpen
  }

  async use<T>(file: string, body: (reader: CheckpointReader) => Promise<T>): Promise<T> {
    const shard = this.open.get(file) ?? { reader: this.openShard(file), users: 0 }
    this.open.delete(file)
    this.open.set(file, shard) // the end of the map holds the most recently used
    shard.users++
    try {
      return await body(await shard.reader)
    } finally {
      shard.users--
      await this.closeIdle()
    }
  }

  /** Closes idle shards now, and shards in use when their use ends. */
  async close(): Promise<void> {
    this.limit = 0
    await this.closeIdle()
  }

  private async openShard(file: string): Promise<CheckpointReader> {
    try {
      return await this.files.open(file)
    } catch (error) {
      this.open.delete(file)
      throw error
    }
  }

  private async closeIdle(): Promise<void> {
    for (const [file, shard] of this.open) {
      if (this.open.size <= this.limit) return
      if (shard.users > 0) continue
      this.open.delete(file)
      await (await shard.reader).close()
    }
  }
}

const where = ([name, file]: [string, string]): string => `${quote(name)} in ${quote(file)}`
