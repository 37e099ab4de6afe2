/** The protocol that every writer follows: a source announces its tensors, then delivers each of them once. */
import { SwitchyardError } from '../base/errors.js'
import { formatCount } from '../base/format.js'
import { bytesOf } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { byteLength, isBoolData, listNames, quote } from './format.js'
import type { TensorInfo, TensorSource } from './format.js'

/**
 * Throws a SwitchyardError for the first announced tensor that a format cannot hold: two tensors share a name, a shape
 * is not one of an array or has more than `maxRank` dimensions, or `nameProblem` says why the format refuses the name.
 */
export function checkAnnounced(
  path: string,
  infos: readonly TensorInfo[],
  { maxRank, nameProblem }: { maxRank: number; nameProblem: (name: string) => string | undefined },
): void {
  const names = new Set<string>()
  for (const { name, dtype, shape } of infos) {
    const problem =
      nameProblem(name) ??
      (names.has(name) ? 'two tensors have this name' : undefined) ??
      (shape.length > maxRank ? `it has more than ${maxRank} dimensions` : undefined) ??
      (byteLength(dtype, shape) === undefined ? `[${shape}] is not the shape of an array` : undefined)
    if (problem !== undefined) throw cannotWrite(path, name, problem)
    names.add(name)
  }
}

/** The error for a tensor that a format cannot hold. */
export const cannotWrite = (path: string, name: string, problem: string): SwitchyardError =>
  new SwitchyardError(`${path}: tensor ${quote(name)} cannot be written: ${problem}`)

/** Bytes of a tensor, in the order of its elements: all of them, or those of a part. */
export interface DeliveredBytes<T extends TensorInfo> {
  readonly info: T
  /** Where they begin in the tensor. */
  readonly offset: number
  /** Not a copy. */
  readonly bytes: Uint8Array
  /** Whether the tensor ends with them. */
  readonly isLast: boolean
}

/**
 * The tensors that a source delivers, or their parts. Throws a SwitchyardError unless every announced tensor is
 * delivered exactly once, with the announced dtype and shape, and its parts in order.
 */
export async function* delivered<T extends TensorInfo>(
  path: string,
  entries: TensorSource['entries'],
  announced: ReadonlyMap<string, T>,
): AsyncGenerator<DeliveredBytes<T>> {
  const missing = new Set(announced.keys())
  /** How many parts of a tensor were delivered. */
  const parts = new Map<string, number>()
  for await (const [name, tensor, part] of entries) {
    const info = announced.get(name)
    const done = parts.get(name) ?? 0
    const problem =
      info === undefined
        ? 'is not among the tensors that the source announced'
        : !missing.has(name)
          ? 'was delivered twice'
          : done !== (part ?? 0)
            ? `was not delivered in order: part ${done} was to be next`
            : mismatch(part === undefined ? info : { ...info, shape: info.shape.slice(1) }, tensor)
    if (problem !== undefined) throw new SwitchyardError(`${path}: tensor ${quote(name)} ${problem}`)
    const bytes = bytesOf(tensor)
    const isLast = part === undefined || part === info!.shape[0] - 1
    if (isLast) missing.delete(name)
    parts.set(name, done + 1)
    yield { info: info!, offset: done * bytes.byteLength, bytes, isLast }
  }
  if (missing.size > 0)
    throw new SwitchyardError(`${path}: the source did not deliver all tensors; missing: ${listNames([...missing])}`)
}

/** How a tensor differs from its announcement; undefined if it does not. */
function mismatch(info: TensorInfo, tensor: HostTensor): string | undefined {
  const { dtype, shape } = tensor
  if (dtype !== info.dtype || shape.length !== info.shape.length || shape.some((d, i) => d !== info.shape[i]))
    return `was announced as ${info.dtype}[${info.shape}] and delivered as ${dtype}[${shape}]`
  const bytes = bytesOf(tensor)
  if (bytes.byteLength !== byteLength(dtype, shape))
    return `is ${dtype}[${shape}] and has ${formatCount(bytes.byteLength)} bytes of data`
  if (dtype === 'bool' && !isBoolData(bytes)) return 'is bool and has bytes other than 0 and 1'
  return undefined
}
