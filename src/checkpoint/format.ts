import { dtypes } from '../base/dtypes.js'
import type { DType } from '../base/dtypes.js'
import { FileError } from '../base/errors.js'
import { formatCount } from '../base/format.js'
import { bytesOf } from '../base/host-tensor.js'
import { partAt } from '../engine/compile/parts.js'
import type { HostTensor } from '../base/host-tensor.js'
import type { DiskFile, RemoteBytes } from './byte-source.js'
import type { Json } from './json.js'

/** Name, dtype and shape of a stored tensor. */
export interface TensorInfo {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly number[]
}

/**
 * An open checkpoint. Opening reads and checks headers only; data is read tensor by tensor, so that a checkpoint may
 * be larger than memory. Reads may overlap. A broken file is a FileError that names the file and the tensor.
 */
export interface CheckpointReader {
  readonly path: string
  /** Text entries from the writer. Reading the tensors needs none of them. */
  readonly metadata: ReadonlyMap<string, string>
  /** What a person should know of the file: parts of it that are not read, or not as they are stored. */
  readonly notices?: readonly string[]
  /** In the order of the file's own table of contents. */
  list(): readonly TensorInfo[]
  read(name: string): Promise<HostTensor>
  /** Reads the part at `index` of a tensor's first axis, and nothing else. Defined if the format allows that. */
  readPart?(name: string, index: number): Promise<HostTensor>
  /**
   * Reads the part of a tensor that begins at the index `start` and has this shape, in pieces of limited size. Defined
   * if the format allows that.
   */
  readSlice?(name: string, start: readonly number[], shape: readonly number[]): Promise<HostTensor>
  /** Says that other processes have verified the tensors, so that no part is compared with a checksum here. */
  trust?(): void
  /** Where the bytes of a tensor are, if they are in a file on disk as `read` gives them. */
  locate?(name: string): Promise<StoredBytes | undefined>
  /** The same of the part at `index` of a tensor's first axis, for tensors whose parts lie apart. */
  locatePart?(name: string, index: number): Promise<StoredBytes | undefined>
  /** The range of a file behind a network that holds a tensor as `read` gives it, so that one request can read it. */
  locateRemote?(name: string): Promise<RemoteRange | undefined>
  close(): Promise<void>
}

/** A range of a file behind a network that holds a tensor, and perhaps a header before it. */
export interface RemoteRange {
  readonly file: RemoteBytes
  readonly begin: number
  readonly end: number
  /** The tensor's own bytes among those of the range. Throws a FileError if its header is wrong. */
  dataIn(range: Uint8Array): Uint8Array
}

/** The bytes of a tensor in a file on disk: its elements in row-major order, little-endian. */
export interface StoredBytes {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly file: DiskFile
  readonly offset: number
  readonly length: number
  /** Reads all bytes and compares them with their checksum, if they have one. Throws a FileError if they differ. */
  verify?(): Promise<void>
}

/**
 * The checkpoint `reader` with `changes`: other tensors listed, or read in another way. Parts of tensors are read, and
 * bytes located, if `changes` say how, or do not change `read`. Closing closes `reader`.
 */
export const viewOf = (
  reader: CheckpointReader,
  changes: Partial<
    Pick<
      CheckpointReader,
      | 'path'
      | 'notices'
      | 'list'
      | 'read'
      | 'readPart'
      | 'readSlice'
      | 'trust'
      | 'locate'
      | 'locatePart'
      | 'locateRemote'
    >
  >,
): CheckpointReader => ({
  path: reader.path,
  metadata: reader.metadata,
  notices: reader.notices,
  list: () => reader.list(),
  read: name => reader.read(name),
  readPart: changes.read ? undefined : reader.readPart && ((name, index) => reader.readPart!(name, index)),
  readSlice: changes.read ? undefined : reader.readSlice && ((...slice) => reader.readSlice!(...slice)),
  trust: reader.trust && (() => reader.trust!()),
  locate: changes.read ? undefined : reader.locate && (name => reader.locate!(name)),
  locatePart: changes.read ? undefined : reader.locatePart && ((name, index) => reader.locatePart!(name, index)),
  locateRemote: changes.read ? undefined : reader.locateRemote && (name => reader.locateRemote!(name)),
  close: () => reader.close(),
  ...changes,
})

/**
 * A tensor that is delivered to a writer, or a part of one, if there is a third element: the part's index along the
 * tensor's first axis. The parts of a tensor come in their order; other tensors may come in between.
 */
export type TensorEntry = readonly [name: string, tensor: HostTensor, part?: number]

/**
 * Tensors to be written. `infos` announces all of them, since a header precedes the data. `entries` then delivers each
 * exactly once, in any order, as a whole or in parts, and may compute each only when it is asked for.
 */
export interface TensorSource {
  readonly infos: readonly TensorInfo[]
  readonly entries: Iterable<TensorEntry> | AsyncIterable<TensorEntry>
}

export interface WriteOptions {
  metadata?: Readonly<Record<string, string>>
  /** Whether to replace what is already at the path. Otherwise an existing path is an error. */
  replace?: boolean
}

/** One container format. Whether a `path` is a file or a folder depends on the format. */
export interface CheckpointFormat {
  readonly name: string
  /**
   * Whether the path looks like this format, by its name or first bytes. A broken file counts: `open` reports what is
   * wrong.
   */
  detect(path: string): Promise<boolean>
  open(path: string): Promise<CheckpointReader>
  /**
   * The result appears at the path complete or not at all. The tensors' memory is not copied: do not change it until
   * the promise settles.
   */
  write(path: string, source: TensorSource, options?: WriteOptions): Promise<void>
}

/** A source of tensors that are in memory already. */
export function sourceOf(tensors: Iterable<readonly [string, HostTensor]>): TensorSource {
  const entries = [...tensors]
  return { infos: entries.map(([name, { dtype, shape }]) => ({ name, dtype, shape })), entries }
}

/** Reads the part of a tensor that begins at `start`; of a format that cannot read parts, the whole tensor. */
export async function readSlice(
  reader: CheckpointReader,
  { name, shape: whole }: Pick<TensorInfo, 'name' | 'shape'>,
  start: readonly number[],
  shape: readonly number[],
): Promise<HostTensor> {
  if (shape.join() === whole.join()) return reader.read(name)
  return reader.readSlice?.(name, start, shape) ?? partAt(await reader.read(name), start, shape)
}

/** Reads every tensor of an open checkpoint into memory. */
export async function readTensors(reader: CheckpointReader): Promise<Map<string, HostTensor>> {
  const tensors = new Map<string, HostTensor>()
  for (const { name } of reader.list()) tensors.set(name, await reader.read(name))
  return tensors
}

/** Reads every tensor of the checkpoint at a path into memory. */
export async function readCheckpoint(
  format: Pick<CheckpointFormat, 'open'>,
  path: string,
): Promise<Map<string, HostTensor>> {
  const reader = await format.open(path)
  try {
    return await readTensors(reader)
  } finally {
    await reader.close()
  }
}

/** The reason why a tensor name is not allowed; undefined if it is allowed. */
export function nameProblem(name: string): string | undefined {
  if (name.split(/[./]/).includes('__proto__')) return 'a name with "__proto__" is not allowed'
  if (/\p{Surrogate}/u.test(name)) return 'the name is not well-formed Unicode'
  return undefined
}

/** A tensor's size in bytes; undefined if a dimension is negative or not an integer, or if the size is above 2^53. */
export function byteLength(dtype: DType, shape: readonly number[]): number | undefined {
  if (!shape.every(d => Number.isSafeInteger(d) && d >= 0)) return undefined
  // An overflow counts even if a later dimension is 0, as in safetensors' own reader.
  let bytes = dtypes[dtype].bytes
  for (const d of shape) {
    bytes *= d
    if (!Number.isSafeInteger(bytes)) return undefined
  }
  return bytes
}

/** Whether all bytes are 0 or 1, as in a bool tensor. */
export const isBoolData = (bytes: Uint8Array): boolean => bytes.every(b => b <= 1)

/** Returns the tensor. Throws a FileError if it is bool and has bytes other than 0 and 1. */
export function checkBools(path: string, name: string, tensor: HostTensor): HostTensor {
  if (tensor.dtype !== 'bool' || isBoolData(bytesOf(tensor))) return tensor
  throw new FileError(
    `${path}: tensor ${quote(name)} is bool and has bytes other than 0 and 1: the file is broken, copy or download it again`,
  )
}

/** float64 values as float32. `tensor` has their bits, as int64. */
export function narrowFloat64({ shape, data }: HostTensor): HostTensor {
  const { buffer, byteOffset, length } = data
  return { dtype: 'float32', shape, data: Float32Array.from(new Float64Array(buffer, byteOffset, length)) }
}

/** The notice for tensors that a file stores as float64. */
export function float64Notice(tensors: readonly { readonly isFloat64?: boolean }[]): string[] {
  const count = tensors.filter(tensor => tensor.isFloat64).length
  return count === 0 ? [] : [`${formatCount(count)} tensors are stored in float64 and are read in float32`]
}

/** The error of a reader that was asked for a tensor that it does not have. */
export function unknownTensor(path: string, name: string, known: ReadonlyMap<string, unknown>): FileError {
  const holds = known.size === 0 ? 'no tensors' : `${formatCount(known.size)} tensors: ${listNames([...known.keys()])}`
  return new FileError(`${path}: there is no tensor ${quote(name)}; the file holds ${holds}`)
}

/** The error of a reader that was asked for a tensor after it was closed. */
export const closedReader = (path: string, name: string): FileError =>
  new FileError(`${path}: tensor ${quote(name)} cannot be read: the file has been closed`)

/** A list for a message: at most ten items, then the number of further items out of `total`. */
export function listItems(items: readonly (string | number)[], total = items.length): string {
  const shown = items.slice(0, 10)
  return shown.join(', ') + (total > shown.length ? ` and ${formatCount(total - shown.length)} more` : '')
}

/** Names from a file, quoted, as a list for a message. */
export const listNames = (names: readonly string[]): string => listItems(names.map(quote))

/**
 * A name from a file, for a message: quoted, shortened, with control characters escaped (a terminal would execute
 * them).
 */
export const quote = (name: string): string => escaped(JSON.stringify(shortened(name)))

/** A value from a JSON file, for a message: as JSON writes it, shortened and escaped as `quote` does. */
export const quoteJson = (value: Json): string =>
  // JSON has no infinity, but 1e999 is read as one.
  typeof value === 'number'
    ? String(value)
    : typeof value === 'string'
      ? quote(value)
      : escaped(shortened(JSON.stringify(value)))

const shortened = (text: string): string =>
  text.length > 120 ? `${text.slice(0, 100)}...(${text.length} characters)` : text

const escaped = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
