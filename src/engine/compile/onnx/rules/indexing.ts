import { sizeOf, stridesOf } from '../../../../base/host-tensor.js'
import { inversePermutation, range } from '../../../program/ops.js'
import type { ScatterParams } from '../../../program/primitives.js'
import type { GraphWriter, Lowered } from '../graph.js'
import { unlessEmpty } from './empty.js'
import { Formula } from './formula.js'
import type { Lowering } from './rule.js'

/**
 * 0, 1, ..., length - 1, from a Range node. As a constant they could not be generalized to other lengths
 * (generalize.ts).
 */
export function indices(g: GraphWriter, length: number): Lowered {
  const end = g.node('Squeeze', [g.ints([length])], 'int64', [])
  return g.node('Range', [g.scalar('int64', 0), end, g.scalar('int64', 1)], 'int64', [length])
}

/** Whether a value is 0, 1, ... along an axis, with length 1 along all other axes. */
export function areIndices(g: GraphWriter, x: Lowered, axis: number): boolean {
  if (x.shape.some((length, i) => i !== axis && length !== 1)) return false
  const maker = g.madeBy(g.beforeReshape(x))
  return maker?.op === 'Range' || (maker?.op === 'Cast' && g.madeBy({ ...x, name: maker.inputs[0] })?.op === 'Range')
}

/**
 * int64 indices, clamped to 0..last. ONNX Runtime 1.30's Max and Min compare only the low 32 bits of int64, so the
 * indices are compared and selected instead.
 */
export function clamp(f: Formula, x: Lowered, last: readonly number[]): Lowered {
  const [zero, end] = [f.g.scalar('int64', 0), f.g.ints(last)]
  const below = f.where(f.test('Less', x, end), x, end)
  return f.where(f.test('Greater', below, zero), below, zero)
}

/**
 * Index vectors, clamped to the bounds of the indexed axes, whose lengths are `sizes`. `inside` writes nodes that tell
 * which vectors were within the bounds; null if all are known to be. The last axis of `indices` has a component for
 * each indexed axis.
 */
function clampIndices(
  g: GraphWriter,
  indices: Lowered,
  sizes: readonly number[],
): { clamped: Lowered; inside: (() => Lowered) | null } {
  const f = new Formula(g)
  const wide = g.cast(indices, 'int64')
  // Indices below an axis length need no clamp for an axis of that length. A smaller bound would do too, but in a
  // generalized graph (generalize.ts) it may be larger at other sizes.
  if (sizes.length === 1 && g.boundOf(wide) === sizes[0]) return { clamped: wide, inside: null }
  const clamped = clamp(
    f,
    wide,
    sizes.map(s => s - 1),
  )
  const inside = (): Lowered => {
    const each = g.cast(f.test('Equal', clamped, wide), 'int32')
    const shape = wide.shape.slice(0, -1)
    return g.cast(g.node('ReduceMin', [each, g.ints([shape.length])], 'int32', shape, { keepdims: 0 }), 'bool')
  }
  return { clamped, inside }
}

export const gather: Lowering<'gather'> = (
  { g, ins: [ax, ai], outs: [out] },
  [x, index],
  { axes, batchDims, mode },
) => {
  const f = new Formula(g)
  const sizes = axes.map(a => ax.shape[a])
  if (sizeOf(out.shape) === 0 || sizeOf(ax.shape) === 0)
    return [g.expand(g.cast(g.scalar('int32', 0), out.dtype), out.shape)]
  const { clamped, inside } = clampIndices(g, g.expand(index, ai.shape), sizes)
  const rest = range(ax.shape.length).filter(i => i >= batchDims && !axes.includes(i))
  const lead = ai.shape.slice(0, -1)
  const isInside = mode === 'clip' || inside === null
  if (axes.length === 1 && batchDims === 0 && isInside) {
    // ONNX's Gather puts the axes of the indices in place of the indexed axis. The transposition moves them to the
    // front; a later transposition often cancels it.
    const [axis] = axes
    const inPlace = [...ax.shape.slice(0, axis), ...lead, ...ax.shape.slice(axis + 1)]
    const gathered = g.node('Gather', [g.expand(x, ax.shape), g.reshape(clamped, lead)], out.dtype, inPlace, { axis })
    const gatheredAxes = range(lead.length, axis)
    return [g.transpose(gathered, [...gatheredAxes, ...range(inPlace.length).filter(i => !gatheredAxes.includes(i))])]
  }
  const operand = g.transpose(g.expand(x, ax.shape), [...range(batchDims), ...axes, ...rest])
  if (axes.length === 1 && batchDims === 0 && !isInside) {
    const at = g.reshape(clamped, lead)
    // Appending a row of zeros for indices out of bounds copies the operand; Where takes three passes over the result.
    if (sizeOf(operand.shape) <= 2 * sizeOf(out.shape)) {
      const rows = sizes[0]
      const zeros = g.expand(g.cast(g.scalar('int32', 0), out.dtype), [1, ...operand.shape.slice(1)])
      const extended = g.node('Concat', [operand, zeros], out.dtype, [rows + 1, ...operand.shape.slice(1)], { axis: 0 })
      return [
        g.node('Gather', [extended, f.where(inside(), at, g.scalar('int64', rows))], out.dtype, out.shape, { axis: 0 }),
      ]
    }
  }
  const gatherIn = (b: GraphWriter): Lowered =>
    axes.length === 1 && rest.length === 0 && batchDims === lead.length - 1
      ? b.node('GatherElements', [operand, b.reshape(clamped, lead)], out.dtype, out.shape, { axis: batchDims })
      : b.node('GatherND', [operand, clamped], out.dtype, out.shape, { batch_dims: batchDims })
  if (isInside) return [gatherIn(g)]
  const [gathered] = unlessEmpty({ g }, operand, [out], b => [gatherIn(b)])
  const mask = g.reshape(inside(), [...lead, ...rest.map(() => 1)])
  return [f.where(mask, gathered, g.cast(g.scalar('int32', 0), out.dtype))]
}

/** Whether a scatter becomes one ScatterND node of its own operand, which can be written in place. */
export const isRowWrite = ({ axes, batchDims, mode, uniqueIndices = false }: ScatterParams): boolean =>
  uniqueIndices && mode === 'clip' && batchDims === 0 && axes.every((axis, i) => axis === i)

/**
 * Scatters rows: the batch and indexed axes are moved to the front and merged into one axis of rows; all other axes are
 * merged into the row. It uses ScatterElements, because ScatterND with several threads loses some of the updates that
 * add to the same row, and writes parts of several updates to one row. Unique indices have no such rows.
 */
export const scatter =
  (reduction: 'none' | 'add'): Lowering<'scatter' | 'scatterAdd'> =>
  ({ g, ins: [ax, ai, au], outs: [out] }, [x, index, updates], params) => {
    const { axes, batchDims, mode } = params
    if (sizeOf(au.shape) === 0 || sizeOf(ax.shape) === 0) return [x]
    const f = new Formula(g)
    const rest = range(ax.shape.length).filter(i => i >= batchDims && !axes.includes(i))
    const perm = [...range(batchDims), ...axes, ...rest]
    const permuted = perm.map(p => ax.shape[p])
    const numRows = sizeOf(permuted.slice(0, batchDims + axes.length))
    const width = sizeOf(rest.map(i => ax.shape[i]))
    const lead = ai.shape.slice(0, -1)
    const count = sizeOf(lead)

    const { clamped, inside } = clampIndices(
      g,
      g.expand(index, ai.shape),
      axes.map(a => ax.shape[a]),
    )
    if (reduction === 'none' && isRowWrite(params))
      return [g.node('ScatterND', [g.expand(x, ax.shape), clamped, g.expand(updates, au.shape)], out.dtype, out.shape)]
    const strides = stridesOf(permuted.slice(0, batchDims + axes.length))
    let rows =
      axes.length === 1
        ? g.reshape(clamped, lead)
        : g.node(
            'ReduceSum',
            [f.op('Mul', clamped, g.ints(strides.slice(batchDims))), g.ints([lead.length])],
            'int64',
            lead,
            { keepdims: 0 },
          )
    if (batchDims > 0) {
      const batch = lead.slice(0, batchDims)
      const offsets = range(sizeOf(batch)).map(i => i * strides[batchDims - 1])
      rows = f.op('Add', rows, g.numbers('int64', [...batch, ...lead.slice(batchDims).map(() => 1)], offsets))
    }
    // Updates out of bounds are written to an additional last row, which is then removed.
    const dropping = mode !== 'clip' && inside !== null
    if (dropping) rows = f.where(inside(), rows, g.scalar('int64', numRows))
    const operand = g.reshape(g.transpose(g.expand(x, ax.shape), perm), [numRows, width])
    const height = dropping ? numRows + 1 : numRows
    const target = dropping
      ? g.node(
          'Concat',
          [operand, g.expand(g.cast(g.scalar('int32', 0), out.dtype), [1, width])],
          out.dtype,
          [height, width],
          { axis: 0 },
        )
      : operand
    // ScatterElements takes a third of the time if all arrays have one axis.
    const columns = g.numbers('int64', [1, width], range(width))
    const at = f.op('Add', f.op('Mul', g.reshape(rows, [count, 1]), g.scalar('int64', width)), columns)
    const written = g.node(
      'ScatterElements',
      [target, at, g.expand(updates, au.shape)].map(v => g.reshape(v, [sizeOf(v.shape)])),
      out.dtype,
      [height * width],
      reduction === 'add' ? { axis: 0, reduction } : { axis: 0 },
    )
    const kept = dropping
      ? g.node('Slice', [written, g.ints([0]), g.ints([numRows * width]), g.ints([0])], out.dtype, [numRows * width])
      : written
    return [g.transpose(g.reshape(kept, permuted), inversePermutation(perm))]
  }
