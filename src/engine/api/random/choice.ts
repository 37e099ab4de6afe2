/** Random orders and selections. */
import { check } from '../../../base/errors.js'
import { sizeOf } from '../../../base/host-tensor.js'
import * as ops from '../../program/ops.js'
import * as np from '../np.js'
import { readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import { checkShape, normalizeAxis } from '../values.js'
import type { Shape } from '../values.js'
import { gumbel, uniform } from './continuous.js'
import { asOneProgram } from './draw.js'
import { randint } from './discrete.js'
import { bits, splitKeys } from './keys.js'

/**
 * The rows of x along an axis in random order; a number stands for 0, 1, ..., n - 1. Sorts by random bits, in as many
 * rounds as make equal bits unlikely to matter.
 */
export function permutation(k: Tensor, x: number | Tensor, axis = 0): Tensor {
  if (!(x instanceof Tensor)) return drawOrder([k, np.arange(x)])
  if (x.ndim === 1) return drawOrder([k, x])
  return np.take(x, permutation(k, x.shape[normalizeAxis(axis, x.ndim)]), axis)
}
const drawOrder = asOneProgram(([k, items]) => {
  const rounds = Math.ceil((3 * Math.log(Math.max(1, items.size))) / Math.log(2 ** 32 - 1))
  let [rest, shuffled] = [k, items.value]
  for (let round = 0; round < rounds; round++) {
    const [next, now] = splitKeys(rest)
    shuffled = ops.sort([bits(now, items.shape).value, shuffled], 0)[1]
    rest = next
  }
  return new Tensor(shuffled)
})

export interface ChoiceOptions {
  /** Whether a row may be drawn more than once (default true). */
  replace?: boolean
  /** The rows' probabilities [n], which need not sum to 1; equal ones unless given. */
  p?: Tensor
  /** The axis of the rows (default 0). */
  axis?: number
}

/**
 * Random rows of x along an axis; a number n stands for 0, 1, ..., n - 1. In the result the axis is replaced by
 * `shape`. Throws a ShapeError when more rows are drawn without replacement than there are.
 */
export function choice(k: Tensor, x: number | Tensor, shape: Shape = [], options: ChoiceOptions = {}): Tensor {
  const { replace = true, p, axis = 0 } = readOptions('random.choice', options, ['replace', 'p', 'axis'])
  const items = x instanceof Tensor ? x : np.arange(x)
  const at = normalizeAxis(axis, items.ndim)
  const n = items.shape[at]
  const drawn = checkShape(shape)
  const count = sizeOf(drawn)
  check(n > 0 || count === 0, 'choice: there is nothing to choose from')
  check(replace || count <= n, () => `choice: ${count} of ${n} cannot be drawn without replacement`)
  check(p === undefined || (p.ndim === 1 && p.size === n), () => `choice: p must be [${n}], not ${p}`)
  return drawRows(p === undefined ? [k, items] : [k, items, p], drawn, replace, at)
}
const drawRows = asOneProgram(([k, items, p], drawn: readonly number[], replace: boolean, axis: number) => {
  const shaped = (rows: Tensor): Tensor => np.reshape(rows, items.shape.toSpliced(axis, 1, ...drawn))
  if (!replace && p === undefined) {
    const order = permutation(k, items, axis)
    const first = ops.slice(
      order.value,
      order.shape.map(() => 0),
      order.shape.map((d, i) => (i === axis ? sizeOf(drawn) : d)),
    )
    return shaped(new Tensor(first))
  }
  const n = Math.max(1, items.shape[axis])
  const positions = p === undefined ? randint(k, drawn, 0, n) : weighted(k, drawn, p, replace)
  return shaped(np.take(items, positions, axis))
})

/**
 * Positions drawn by probabilities: by the inverse of the distribution function, or the largest log p + Gumbel noise.
 */
function weighted(k: Tensor, shape: readonly number[], p: Tensor, replace: boolean): Tensor {
  const wide = np.astype(p, 'float32')
  if (!replace) {
    const scores = np.add(gumbel(k, wide.shape), np.log(wide))
    return np.reshape(np.topK(scores, sizeOf(shape))[1], shape)
  }
  const total = np.cumsum(wide, 0)
  const target = np.multiply(total.get(-1), np.subtract(1, uniform(k, shape)))
  return np.searchsorted(total, target)
}
