/** Keys, and the random bits that they give. */
import { check } from '../../../base/errors.js'
import { sizeOf } from '../../../base/host-tensor.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { describe } from '../describe.js'
import * as np from '../np.js'
import { Tensor } from '../tensor.js'
import { checkShape, constant, stretch } from '../values.js'
import type { Shape } from '../values.js'
import { asOneProgram } from './draw.js'

/** The key of a seed, a whole number of 0 or more and of at most 64 bits: uint32[2], the high and the low word. */
export function key(seed: number | bigint): Tensor {
  check(
    typeof seed === 'bigint' ? seed >= 0n && seed < 2n ** 64n : Number.isSafeInteger(seed) && seed >= 0,
    () => `a seed is a whole number of 0 or more, not ${describe(seed)}`,
  )
  const bits = BigInt(seed)
  return np.array([bits >> 32n, bits & 0xffffffffn], 'uint32')
}

/** Two words of random bits for each pair of counters. */
function threefry(k: Tensor, high: Value, low: Value): [Value, Value] {
  const word = (i: number): Value => stretch(ops.reshape(ops.slice(k.value, [i], [i + 1]), []), low.shape)
  const [first, second] = ops.threefry2x32([word(0), word(1), high, low])
  return [first, second]
}

/**
 * Two words of random bits for each element of a shape. The counter is the element's row-major position, which begins
 * at 0, or where `keyFrom` says.
 */
function counted(k: Tensor, lengths: readonly number[]): [Value, Value] {
  const size = sizeOf(lengths)
  check(size <= 2 ** 32, () => `${size} random elements are too many for one array`)
  const low = ops.reshape(ops.iota('uint32', [size], 0), lengths)
  if (k.size === 2) return threefry(k, ops.zerosLike(low), low)
  const [high, first] = [2, 3].map(i => stretch(ops.reshape(ops.slice(k.value, [i], [i + 1]), []), lengths))
  const position = ops.add(low, first)
  const carry = ops.convertElementType(ops.lt(position, first), 'uint32')
  return threefry(k, ops.add(high, carry), position)
}

/**
 * A key to draw a part of a larger array: its elements are those that `k` draws from a row-major position on.
 * `position` is uint32[2], the high and the low word. The result is uint32[4], for drawing only.
 */
export const keyFrom = (k: Tensor, position: Tensor): Tensor => np.concatenate([k, position])

/** The high and the low word of a position for `keyFrom`, a whole number below 2^53. */
export const positionWords = (position: number): Tensor =>
  np.array([Math.floor(position / 2 ** 32), position % 2 ** 32], 'uint32')

const stackLast = (words: readonly Value[]): Tensor =>
  new Tensor(
    ops.concatenate(
      words.map(w => ops.reshape(w, [...w.shape, 1])),
      words[0].ndim,
    ),
  )

/** New keys: uint32[n, 2] for a number n, uint32[...shape, 2] for a shape. */
export const split = (k: Tensor, shape: Shape = 2): Tensor => drawKeys([k], checkShape(shape))
const drawKeys = asOneProgram(([k], lengths: readonly number[]) => stackLast(counted(k, lengths)))

/** The new keys of `split(k, n)`, each an array of its own. */
export const splitKeys = (k: Tensor, n = 2): Tensor[] => np.split(split(k, n), n).map(row => np.reshape(row, [2]))

/** A new key from a key and an integer, such as a step or a layer; an array must be an integer scalar. */
export function foldIn(k: Tensor, data: number | Tensor): Tensor {
  check(
    data instanceof Tensor ? data.ndim === 0 && np.promote(data.dtype, 'int64') === 'int64' : Number.isInteger(data),
    () => `foldIn takes an integer, not ${describe(data)}`,
  )
  return fold([k, data instanceof Tensor ? data : np.array(data >>> 0, 'uint32')])
}
const fold = asOneProgram(([k, data]) =>
  stackLast(threefry(k, constant(0, 'uint32'), ops.convertElementType(data.value, 'uint32'))),
)

/** Random bits: every value of an unsigned dtype is equally likely. */
export const bits = (k: Tensor, shape: Shape = [], dtype: BitsType = 'uint32'): Tensor =>
  drawBits([k], checkShape(shape), dtype)
type BitsType = 'uint32' | 'uint16' | 'uint8'
const drawBits = asOneProgram(([k], lengths: readonly number[], dtype: BitsType) => {
  const [high, low] = counted(k, lengths)
  const mixed = ops.xor(high, low)
  const narrow = dtype === 'uint32' ? mixed : ops.and(mixed, dtype === 'uint16' ? 0xffff : 0xff)
  return new Tensor(ops.convertElementType(narrow, dtype))
})
