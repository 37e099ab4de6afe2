/**
 * Products of vectors, matrices and tensors: matmul, matvec, vecmat, dot, vdot, vecdot, inner, outer, tensordot,
 * einsum, kron, cross.
 *
 * Operands are converted to their common dtype, which is also the result's. For bool, products are `and` and sums are
 * `or`.
 */
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import type { Tensor, TensorLike } from '../tensor.js'
import { broadcastShapes, normalizeAxes, normalizeAxis } from '../values.js'
import { multiply, subtract } from './arithmetic.js'
import { contract } from './contract.js'
import { asTensor, broadcast, product } from './operands.js'
import type { Binary } from './operands.js'
import { stack } from './joining.js'
import { ravel, reshape } from './shape.js'

import { einsum } from './einsum.js'

export { einsum }

/**
 * The matrix product: [..., n, k] and [..., k, m] give [..., n, m]; leading axes broadcast. A vector [k] is a row on
 * the left, a column on the right, and its axis is dropped. Throws a ShapeError for scalars (use `multiply`) and other
 * lengths.
 */
export const matmul: Binary = (x: TensorLike, y: TensorLike) => {
  const [a, b] = [asTensor(x), asTensor(y)]
  check(a.ndim > 0 && b.ndim > 0, () => `matmul(${a}, ${b}) needs operands of one dimension or more`)
  const inner = [a.shape[a.ndim - 1], b.shape[Math.max(0, b.ndim - 2)]]
  check(inner[0] === inner[1], () => `matmul(${a}, ${b}): the inner lengths ${inner[0]} and ${inner[1]} differ`)
  const batch = (t: Tensor): string[] => ops.range(Math.max(0, t.ndim - 2)).map(i => `batch ${t.ndim - 2 - i}`)
  const leading = [a, b].map(batch).reduce((p, q) => (p.length < q.length ? q : p))
  const [row, column] = [a.ndim === 1 ? [] : ['row'], b.ndim === 1 ? [] : ['column']]
  broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2))
  return product([x, y], ([p, q]) =>
    contract(
      [
        { value: p, labels: [...batch(a), ...row, 'inner'] },
        { value: q, labels: [...batch(b), 'inner', ...column] },
      ],
      [...leading, ...row, ...column],
    ),
  )
}

/** Matrices times vectors: [..., n, k] and [..., k] give [..., n]; leading axes broadcast. */
export const matvec: Binary = (x: TensorLike, y: TensorLike) => einsum('...nk,...k->...n', x, y)

/** Vectors times matrices: [..., k] and [..., k, m] give [..., m]; leading axes broadcast. */
export const vecmat: Binary = (x: TensorLike, y: TensorLike) => einsum('...k,...km->...m', x, y)

/**
 * Sums products over pairs of axes: the last n of x with the first n of y (n is 2 unless given), or the axes listed for
 * each. Output: x's other axes, then y's.
 */
export function tensordot(
  x: TensorLike,
  y: TensorLike,
  axes: number | readonly [readonly number[], readonly number[]] = 2,
): Tensor {
  const [m, n] = [asTensor(x).ndim, asTensor(y).ndim]
  check(
    typeof axes !== 'number' || (Number.isInteger(axes) && axes >= 0 && axes <= Math.min(m, n)),
    () => `tensordot cannot sum over ${String(axes)} axes of ${asTensor(x)} and ${asTensor(y)}`,
  )
  const [ofX, ofY] = typeof axes === 'number' ? [ops.range(axes, m - axes), ops.range(axes)] : axes
  return product([x, y], ([a, b]) =>
    ops.dotGeneral(a, b, { contract: [normalizeAxes(ofX, m), normalizeAxes(ofY, n)], batch: [[], []] }),
  )
}

/**
 * Sums products over the last axis of x and the last but one of y (its only one, if it has one). A scalar multiplies.
 */
export const dot: Binary = (x: TensorLike, y: TensorLike) => {
  const [m, n] = [asTensor(x).ndim, asTensor(y).ndim]
  return m === 0 || n === 0 ? multiply(x, y) : tensordot(x, y, [[m - 1], [Math.max(0, n - 2)]])
}

/** The sum of the products of all elements, of operands of one size: both are flattened. */
export const vdot: Binary = (x: TensorLike, y: TensorLike) => dot(ravel(x), ravel(y))

/**
 * The dot product of vectors along the last axis: [..., n] and [..., n] give [...]; the leading axes broadcast.
 */
export function vecdot(x: TensorLike, y: TensorLike, axis = -1): Tensor {
  return product([x, y], ([a, b]) => {
    const [p, q] = broadcast(a, b)
    return ops.reduceSum(ops.mul(p, q), [normalizeAxis(axis, p.ndim)])
  })
}

/** Sums products over the last axes of both. Output: x's other axes, then y's. A scalar multiplies. */
export const inner: Binary = (x: TensorLike, y: TensorLike) => {
  const [m, n] = [asTensor(x).ndim, asTensor(y).ndim]
  return m === 0 || n === 0 ? multiply(x, y) : tensordot(x, y, [[m - 1], [n - 1]])
}

/** All products of an element of x (rows) with one of y (columns): [size of x, size of y]. */
export const outer: Binary = (x: TensorLike, y: TensorLike) =>
  product([x, y], ([a, b]) =>
    ops.dotGeneral(ops.reshape(a, [a.size]), ops.reshape(b, [b.size]), { contract: [[], []], batch: [[], []] }),
  )

/**
 * The Kronecker product: each element of x times all of y, as a block. The array of fewer axes gets axes of length 1 in
 * front.
 */
export const kron: Binary = (x: TensorLike, y: TensorLike) => {
  const [a, b] = [asTensor(x), asTensor(y)]
  const ndim = Math.max(a.ndim, b.ndim)
  const lengths = (t: Tensor): number[] => [...ops.range(ndim - t.ndim).map(() => 1), ...t.shape]
  const [m, n] = [lengths(a), lengths(b)]
  const blocks = multiply(
    reshape(
      a,
      m.flatMap(d => [d, 1]),
    ),
    reshape(
      b,
      n.flatMap(d => [1, d]),
    ),
  )
  return reshape(
    blocks,
    m.map((d, i) => d * n[i]),
  )
}

/**
 * The cross product of vectors along an axis (the last unless given), whose length is 3 for both, or 2 (the third
 * coordinate is 0); of two vectors of length 2 only the third coordinate, without the axis. The other axes broadcast.
 */
export function cross(x: TensorLike, y: TensorLike, axis = -1): Tensor {
  const components = (t: Tensor): Tensor[] => {
    const at = normalizeAxis(axis, t.ndim)
    const n = t.shape[at]
    check(n === 2 || n === 3, () => `cross takes vectors of length 2 or 3, not ${n}`)
    const part = (i: number): Tensor => t.get(...ops.range(at).map(() => ':' as const), i)
    return ops.range(n).map(part)
  }
  const [a, b] = [components(asTensor(x)), components(asTensor(y))]
  const minor = (i: number, j: number): Tensor =>
    subtract(multiply(a[i] ?? 0, b[j] ?? 0), multiply(a[j] ?? 0, b[i] ?? 0))
  const third = minor(0, 1)
  if (a.length === 2 && b.length === 2) return third
  const parts = [minor(1, 2), minor(2, 0), third]
  return stack(parts, normalizeAxis(axis, third.ndim + 1))
}
