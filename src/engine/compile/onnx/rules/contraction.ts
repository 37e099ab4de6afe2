import { isFloat } from '../../../../base/dtypes.js'
import { sizeOf } from '../../../../base/tensor.js'
import type { Aval } from '../../../program/aval.js'
import { range } from '../../../program/ops.js'
import type { GraphWriter, Lowered } from '../graph.js'
import type { Lowering } from './rule.js'

/** One operand of a matrix product, as [batch, rows, columns] or, `transposed`, [batch, columns, rows]. */
interface Matrix { value: Lowered; transposed: boolean }

/**
 * One MatMul over [batch, rows, inner] and [batch, inner, columns]. An operand that already stands the other way round is left so:
 * FusedMatMul reads it that way at full speed, and neither forward nor backward needs a Transpose.
 */
export const dotGeneral: Lowering<'dotGeneral'> = ({ g, ins: [ax, ay], outs: [out] }, [x, y], { contract: [cx, cy], batch: [bx, by] }) => {
  const free = (a: Aval, used: readonly number[]): number[] => range(a.shape.length).filter(i => !used.includes(i))
  const [fx, fy] = [free(ax, [...bx, ...cx]), free(ay, [...by, ...cy])]
  const sizes = (a: Aval, axes: readonly number[]): number => sizeOf(axes.map(i => a.shape[i]))
  const [rows, inner, columns] = [sizes(ax, fx), sizes(ax, cx), sizes(ay, fy)]
  const lead = bx.length === 0 ? [] : [sizes(ax, bx)]
  const mayTranspose = isFloat(out.dtype)
  const shape = [...lead, rows, columns]
  if (inner === 0 || sizeOf(shape) === 0) return [g.expand(g.numbers('int32', [], [0]).dtype === out.dtype ? g.scalar('int32', 0) : g.cast(g.scalar('int32', 0), out.dtype), out.shape)]
  const [cxSorted, cySorted] = alignContraction(cx, cy, fx.length > 0 && bx.every((d, i) => d === i))
  const a = asMatrix(g, g.expand(x, ax.shape), bx, fx, cxSorted, lead, [rows, inner], mayTranspose)
  const b = asMatrix(g, g.expand(y, ay.shape), by, cySorted, fy, lead, [inner, columns], mayTranspose)
  const product = a.transposed || b.transposed
    ? g.node('FusedMatMul', [a.value, b.value], out.dtype, shape, { transA: Number(a.transposed), transB: Number(b.transposed) }, 'com.microsoft')
    : g.node('MatMul', [a.value, b.value], out.dtype, shape)
  return [g.reshape(product, out.shape)]
}

/** Contracted axes may be summed in any order: the one that keeps the left (or else the right) operand as it stands. */
function alignContraction(cx: readonly number[], cy: readonly number[], left: boolean): [number[], number[]] {
  const key = left ? cx : cy
  const order = range(cx.length).sort((i, j) => key[i] - key[j])
  return [order.map(i => cx[i]), order.map(i => cy[i])]
}

function asMatrix(
  g: GraphWriter, x: Lowered, batch: readonly number[], first: readonly number[], second: readonly number[],
  lead: readonly number[], [rows, columns]: readonly [number, number], mayTranspose: boolean,
): Matrix {
  const inOrder = (perm: readonly number[]): boolean => perm.every((p, i) => p === i)
  const transposed = mayTranspose && !inOrder([...batch, ...first, ...second]) && inOrder([...batch, ...second, ...first])
  const value = transposed ? x : g.transpose(x, [...batch, ...first, ...second])
  return { value: g.reshape(value, transposed ? [...lead, columns, rows] : [...lead, rows, columns]), transposed }
}
