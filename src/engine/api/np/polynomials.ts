/**
 * Functions given by numbers: polynomials (polyval, polyadd, polysub, polymul, polyder, polyint) and interpolation
 * (interp).
 */
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { add, multiply, subtract } from './arithmetic.js'
import { asFloat, asTensor, broadcast, commonDtype, lift } from './operands.js'
import { unstack } from './joining.js'
import { searchsorted } from './sorting.js'

const coefficients = (name: string, p: TensorLike): Tensor => {
  const operand = asTensor(p)
  check(operand.ndim === 1, () => `${name} takes a vector of coefficients, the highest power first, not ${operand}`)
  return operand
}

/** The polynomial p[0] x^(n-1) + ... + p[n-1] at each x, by Horner's rule; 0 of no coefficients. */
export function polyval(p: TensorLike, x: TensorLike): Tensor {
  const vector = coefficients('polyval', p)
  const dtype = commonDtype(vector, x)
  const at = new Tensor(lift(x, dtype))
  let result = new Tensor(ops.zerosLike(at.value))
  for (const factor of unstack(vector)) result = add(multiply(result, at), factor)
  return result
}

/** The two coefficient vectors, the shorter one padded with zeros in front. */
function aligned(p: TensorLike, q: TensorLike, name: string): [Tensor, Tensor] {
  const [a, b] = [coefficients(name, p), coefficients(name, q)]
  const n = Math.max(a.size, b.size)
  const pad = (t: Tensor): Tensor => new Tensor(ops.pad(t.value, ops.full([], 0, t.dtype), [n - t.size], [0]))
  return [pad(a), pad(b)]
}

/** The sum of two polynomials given by their coefficients, the highest power first. */
export const polyadd = (p: TensorLike, q: TensorLike): Tensor => add(...aligned(p, q, 'polyadd'))

/** The difference of two polynomials given by their coefficients, the highest power first. */
export const polysub = (p: TensorLike, q: TensorLike): Tensor => subtract(...aligned(p, q, 'polysub'))

/** The product of two polynomials given by their coefficients, the highest power first. */
export function polymul(p: TensorLike, q: TensorLike): Tensor {
  const [a, b] = [coefficients('polymul', p), coefficients('polymul', q)]
  check(a.size > 0 && b.size > 0, 'polymul needs a coefficient or more of each polynomial')
  const dtype = commonDtype(a, b)
  const [x, y] = [lift(a, dtype), lift(b, dtype)]
  const zero = ops.full([], 0, dtype)
  const terms = ops.range(a.size).map((i): Value => {
    const factor = ops.broadcastInDim(ops.slice(x, [i], [i + 1]), y.shape, [0])
    return ops.pad(ops.mul(factor, y), zero, [i], [a.size - 1 - i])
  })
  return new Tensor(terms.reduce((s, t) => ops.add(s, t)))
}

/** The derivative of a polynomial given by its coefficients, the highest power first: one coefficient less. */
export function polyder(p: TensorLike): Tensor {
  const vector = coefficients('polyder', p)
  const n = vector.size
  if (n <= 1) return new Tensor(ops.slice(vector.value, [n], [n]))
  const powers = ops.sub(ops.full([n - 1], n - 1, 'int32'), ops.iota('int32', [n - 1], 0))
  return multiply(new Tensor(ops.slice(vector.value, [0], [n - 1])), new Tensor(lift(new Tensor(powers), vector.dtype)))
}

/**
 * The integral of a polynomial given by its coefficients, the highest power first, that is 0 at 0: one coefficient
 * more.
 */
export function polyint(p: TensorLike): Tensor {
  const vector = asFloat(coefficients('polyint', p))
  const n = vector.size
  const powers = ops.sub(ops.full([n], n, vector.dtype), ops.iota(vector.dtype, [n], 0))
  return new Tensor(ops.pad(ops.div(vector.value, powers), ops.full([], 0, vector.dtype), [0], [1]))
}

/** Options of `interp`. */
export interface InterpOptions {
  /** The value left of the first point: that of the first point unless given. */
  left?: TensorLike
  /** The value right of the last point: that of the last point unless given. */
  right?: TensorLike
}

/**
 * The piecewise linear function through the points (xp[i], fp[i]), at each x. xp is a vector that rises; fp has as many
 * values. Integers give float32. Throws a ShapeError when there are no points or the lengths differ. NumPy's period is
 * not taken.
 */
export function interp(x: TensorLike, xp: TensorLike, fp: TensorLike, options: InterpOptions = {}): Tensor {
  const { left, right } = readOptions('np.interp', options, ['left', 'right'])
  const [at, points, values] = [asFloat(x), asFloat(xp), asFloat(fp)]
  const n = points.size
  check(
    points.ndim === 1 && values.ndim === 1 && n === values.size && n > 0,
    () => `interp takes two vectors of one length, 1 or more, as points: not ${points} and ${values}`,
  )
  const dtype = commonDtype(at, points, values)
  const [v, px, py] = [at, points, values].map(t => lift(t, dtype))
  const index = searchsorted(points, at, { side: 'right' }).value
  const high = ops.min(ops.max(index, 1), Math.max(1, n - 1))
  const pick = (from: Value, i: Value): Value =>
    ops.gather(from, ops.reshape(i, [...i.shape, 1]), { axes: [0], batchDims: 0, mode: 'clip' })
  const low = ops.sub(high, 1)
  const [x0, x1, y0, y1] = [pick(px, low), pick(px, high), pick(py, low), pick(py, high)]
  const width = ops.sub(x1, x0)
  const isFlat = ops.eq(width, 0)
  const share = ops.div(ops.sub(v, x0), ops.select(isFlat, 1, width))
  const inner = ops.select(isFlat, y0, ops.add(y0, ops.mul(share, ops.sub(y1, y0))))
  const end = (i: number): Value => ops.reshape(ops.slice(py, [i], [i + 1]), [])
  const edge = (i: number): Value => ops.reshape(ops.slice(px, [i], [i + 1]), [])
  const spread = (s: Value): Value => broadcast(s, v)[0]
  const before = spread(left === undefined ? end(0) : lift(left, dtype))
  const after = spread(right === undefined ? end(n - 1) : lift(right, dtype))
  const bounded = ops.select(ops.gt(v, spread(edge(n - 1))), after, inner)
  return new Tensor(ops.select(ops.lt(v, spread(edge(0))), before, bounded))
}
