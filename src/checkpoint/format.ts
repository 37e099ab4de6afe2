import type { DType } from '../base/dtypes.js'
import { SwitchyardError } from '../base/errors.js'
import type { HostTensor } from '../base/tensor.js'

/** What is known of a stored tensor without reading its data. */
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
  /** Free text that the writer left; nothing in it is needed to read the tensors. */
  readonly metadata: ReadonlyMap<string, string>
  /** In the order of the file's own table of contents. */
  list(): readonly TensorInfo[]
  read(name: string): Promise<HostTensor>
  close(): Promise<void>
}

/**
 * Tensors to be written. `infos` says beforehand what will come (a header stands before the data); `entries` then
 * brings every one of them exactly once, in any order, and may make each only when it is asked for it.
 */
export interface TensorSource {
  readonly infos: readonly TensorInfo[]
  readonly entries: Iterable<readonly [string, HostTensor]> | AsyncIterable<readonly [string, HostTensor]>
}

export interface WriteOptions {
  metadata?: Readonly<Record<string, string>>
  /** Whether something that is already at the path may be replaced; otherwise that is an error. */
  replace?: boolean
}

/** One container format. Its meaning of `path` (a file or a folder) is its own. */
export interface CheckpointFormat {
  readonly name: string
  /** Whether the path looks like this format, by name or first bytes: a broken one counts, and `open` says what is wrong. */
  detect(path: string): Promise<boolean>
  open(path: string): Promise<CheckpointReader>
  /** Appears at the path complete or not at all. The tensors' memory is not copied: leave it alone until the promise settles. */
  write(path: string, source: TensorSource, options?: WriteOptions): Promise<void>
}

/** Tensors that are in memory already, as a source. */
export function sourceOf(tensors: Iterable<readonly [string, HostTensor]>): TensorSource {
  const entries = [...tensors]
  return { infos: entries.map(([name, { dtype, shape }]) => ({ name, dtype, shape })), entries }
}

/** Reads tensors (all of them, unless names are given) into memory. */
export async function readTensors(reader: CheckpointReader, names?: Iterable<string>): Promise<Map<string, HostTensor>> {
  const tensors = new Map<string, HostTensor>()
  for (const name of names ?? reader.list().map(info => info.name)) tensors.set(name, await reader.read(name))
  return tensors
}

/** Throws unless `tensor` is what `info` promised. */
export function checkAgainstInfo(path: string, info: TensorInfo, tensor: HostTensor): void {
  const same = tensor.dtype === info.dtype && tensor.shape.length === info.shape.length && tensor.shape.every((d, i) => d === info.shape[i])
  if (same) return
  throw new SwitchyardError(
    `${path}: tensor ${quote(info.name)} was announced as ${info.dtype}[${info.shape}] and came as ${tensor.dtype}[${tensor.shape}]`)
}

/** A name from a file, for a message: quoted, control characters escaped (a terminal would obey them), not too long. */
export function quote(name: string): string {
  const short = name.length > 120 ? `${name.slice(0, 100)}...(${name.length} characters)` : name
  return JSON.stringify(short).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
