import { isFloat } from '../../../../base/dtypes.js'
import { sizeOf } from '../../../../base/host-tensor.js'
import type { Aval } from '../../../program/aval.js'
import { range } from '../../../program/ops.js'
import type { GraphWriter, Lowered } from '../graph.js'
import type { Lowering } from './rule.js'

/** One operand of a matrix product: [...batch, rows, columns], or [...batch, columns, rows] if `transposed`. */
interface Matrix {
  value: Lowered
  transposed: boolean
}

/**
 * One MatMul of [...batch, rows, inner] and [...batch, inner, columns], or, without batch axes, of [...rows, inner] and
 * [inner, columns]. An operand whose last two axes are in the opposite order is not transposed: FusedMatMul reads it in
 * that order at the same speed. So products need no Transpose nodes, nor do the products of their derivatives.
 */
export const dotGeneral: Lowering<'dotGeneral'> = (
  { g, ins: [ax, ay], outs: [out] },
  [x, y],
  { contract: [cx, cy], batch: [bx, by] },
) => {
  const free = (a: Aval, used: readonly number[]): number[] => range(a.shape.length).filter(i => !used.includes(i))
  const [fx, fy] = [free(ax, [...bx, ...cx]), free(ay, [...by, ...cy])]
  const sizes = (a: Aval, axes: readonly number[]): number => sizeOf(axes.map(i => a.shape[i]))
  const [rows, inner, columns] = [sizes(ax, fx), sizes(ax, cx), sizes(ay, fy)]
  const lead = bx.map(i => ax.shape[i])
  const mayTranspose = isFloat(out.dtype)
  if (inner === 0 || sizeOf(out.shape) === 0) return [g.expand(g.cast(g.scalar('int32', 0), out.dtype), out.shape)]
  const [cxSorted, cySorted] = alignContraction(cx, cy, fx.length > 0 && bx.every((d, i) => d === i))
  const a = asMatrix(g, g.expand(x, ax.shape), bx, fx, cxSorted, mayTranspose)
  const b = asMatrix(g, g.expand(y, ay.shape), by, cySorted, fy, mayTranspose)
  const rowAxes = lead.length === 0 && fx.length > 1 && !a.transposed ? fx.map(i => ax.shape[i]) : [rows]
  const matrix = g.reshape(a.value, [...lead, ...(a.transposed ? [inner, rows] : [...rowAxes, inner])])
  // Rows that a Reshape merged from several axes are not merged: MatMul takes several, and later operations often split
  // them again.
  const before = g.beforeReshape(matrix)
  const left =
    lead.length === 0 && !a.transposed && before.shape.length > 1 && before.shape[before.shape.length - 1] === inner
      ? before
      : matrix
  const right = g.reshape(b.value, [...lead, ...(b.transposed ? [columns, inner] : [inner, columns])])
  const shape = [...(a.transposed ? [...lead, rows] : left.shape.slice(0, -1)), columns]
  const product =
    a.transposed || b.transposed
      ? g.node(
          'FusedMatMul',
          [left, right],
          out.dtype,
          shape,
          { transA: Number(a.transposed), transB: Number(b.transposed) },
          'com.microsoft',
        )
      : g.node('MatMul', [left, right], out.dtype, shape)
  return [g.reshape(product, out.shape)]
}

/**
 * Contracted axes may be summed in any order. This one saves a transposition of the left operand, or of the right one
 * if not `left`.
 */
function alignContraction(cx: readonly number[], cy: readonly number[], left: boolean): [number[], number[]] {
  const key = left ? cx : cy
  const order = range(cx.length).sort((i, j) => key[i] - key[j])
  return [order.map(i => cx[i]), order.map(i => cy[i])]
}

/**
 * An operand with its axes in the order batch, first, second, or batch, second, first if that saves a transposition or
 * makes it one that leaves the last axis in its place, which moves whole rows.
 */
function asMatrix(
  g: GraphWriter,
  x: Lowered,
  batch: readonly number[],
  first: readonly number[],
  second: readonly number[],
  mayTranspose: boolean,
): Matrix {
  const orders = [
    [...batch, ...first, ...second],
    [...batch, ...second, ...first],
  ]
  const inOrder = orders.map(perm => perm.every((p, i) => p === i))
  const keepsRows = orders.map(perm => perm[perm.length - 1] === perm.length - 1)
  const transposed = mayTranspose && !inOrder[0] && (inOrder[1] || (keepsRows[1] && !keepsRows[0]))
  return { value: g.transpose(x, orders[Number(transposed)]), transposed }
}
