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

/**
 * The tensors that a source delivers, each with its announcement and its bytes (which are not copied). Throws a
 * SwitchyardError unless every announced tensor is delivered exactly once, with the announced dtype and shape.
 */
export async function* delivered<T extends TensorInfo>(
  path: string,
  entries: TensorSource['entries'],
  announced: ReadonlyMap<string, T>,
): AsyncGenerator<{ info: T; bytes: Uint8Array }> {
  const missing = new Set(announced.keys())
  for await (const [name, tensor] of entries) {
    const info = announced.get(name)
    const problem =
      info === undefined
        ? 'is not among the tensors that the source announced'
        : missing.delete(name)
          ? mismatch(info, tensor)
          : 'was delivered twice'
    if (problem !== undefined) throw new SwitchyardError(`${path}: tensor ${quote(name)} ${problem}`)
    yield { info: info!, bytes: bytesOf(tensor) }
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
