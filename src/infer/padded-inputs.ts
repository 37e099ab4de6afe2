import { hostTensor } from '../base/host-tensor.js'
import type { SpecialIds } from '../base/special-ids.js'
import { fromHost } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import { NO_TOKEN } from './decode.js'
import { bucket } from './rows.js'

/** Lengths of inputs are rounded up to a multiple of this, so that few different ones are compiled. */
export const LENGTH_MULTIPLE = 16

/** The length of inputs with padding. */
export const paddedLength = (inputs: readonly (readonly number[])[], multiple = LENGTH_MULTIPLE): number =>
  Math.max(1, Math.ceil(Math.max(...inputs.map(({ length }) => length)) / multiple)) * multiple

/** The number of tokens of inputs that are encoded together, padding included. */
export const countPadded = (inputs: readonly (readonly number[])[]): number =>
  bucket(inputs.length) * paddedLength(inputs)

/**
 * Token ids [inputs, length], padded with `NO_TOKEN` to a multiple of a length. The inputs are filled up to a power of
 * two with copies of the last.
 */
export const paddedInputs = (inputs: readonly (readonly number[])[], multiple = LENGTH_MULTIPLE): Tensor =>
  paddedPart(inputs, 0, paddedLength(inputs, multiple))

/** The positions from `first` up to `end` of inputs that are padded like this. */
export function paddedPart(inputs: readonly (readonly number[])[], first: number, end: number): Tensor {
  const [rows, length] = [bucket(inputs.length), end - first]
  const ids = new Int32Array(rows * length).fill(NO_TOKEN)
  for (let row = 0; row < rows; row++) ids.set(inputs[Math.min(row, inputs.length - 1)].slice(first, end), row * length)
  return fromHost(hostTensor('int32', [rows, length], ids))
}

/**
 * An input without the padding at its end. Where the padding id is also an EOS, it cannot be told apart, and nothing is
 * removed.
 */
export const withoutPadding = (input: readonly number[], { padId, eosIds }: SpecialIds): readonly number[] =>
  eosIds.includes(padId) ? input : input.slice(0, input.findLastIndex(id => id !== padId) + 1)
