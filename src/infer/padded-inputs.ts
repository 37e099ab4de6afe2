import { hostTensor } from '../base/host-tensor.js'
import type { SpecialIds } from '../base/special-ids.js'
import { fromHost } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import { NO_TOKEN } from './decode.js'
import { bucket } from './rows.js'

/** Lengths of inputs are rounded up to a multiple of this, so that few different ones are compiled. */
export const LENGTH_MULTIPLE = 16

const paddedLength = (inputs: readonly (readonly number[])[], multiple: number): number =>
  Math.max(1, Math.ceil(Math.max(...inputs.map(({ length }) => length)) / multiple)) * multiple

/** The number of tokens of inputs that are encoded together, padding included. */
export const countPadded = (inputs: readonly (readonly number[])[]): number =>
  bucket(inputs.length) * paddedLength(inputs, LENGTH_MULTIPLE)

/** The index of the input that a token of `paddedInputs` belongs to, of tokens numbered row by row. */
export const inputOfToken = (inputs: readonly (readonly number[])[], token: number): number =>
  Math.min(Math.floor(token / paddedLength(inputs, LENGTH_MULTIPLE)), inputs.length - 1)

/**
 * Token ids [inputs, length], padded with `NO_TOKEN` to a multiple of a length. The inputs are filled up to a power of
 * two with copies of the last.
 */
export function paddedInputs(inputs: readonly (readonly number[])[], multiple = LENGTH_MULTIPLE): Tensor {
  const [rows, length] = [bucket(inputs.length), paddedLength(inputs, multiple)]
  const ids = new Int32Array(rows * length).fill(NO_TOKEN)
  for (let row = 0; row < rows; row++) ids.set(inputs[Math.min(row, inputs.length - 1)], row * length)
  return fromHost(hostTensor('int32', [rows, length], ids))
}

/**
 * An input without the padding at its end. Where the padding id is also an EOS, it cannot be told apart, and nothing is
 * removed.
 */
export const withoutPadding = (input: readonly number[], { padId, eosIds }: SpecialIds): readonly number[] =>
  eosIds.includes(padId) ? input : input.slice(0, input.findLastIndex(id => id !== padId) + 1)
