/** The lowering of `pad`. */
import type { Aval } from '../../../../program/aval.js'
import type { PrimitiveParams } from '../../../../program/program.js'
import { integers } from '../mlir.js'
import * as ops from '../ops.js'
import type { BlockWriter, Lowered } from '../writer.js'
import type { Lowering } from './rule.js'

/**
 * On one device, StableHLO's operation. On a mesh, XLA's partitioner divides that operation wrongly if it adds elements
 * between others, or crops: there each element becomes a row, which is padded at its end, and a slice crops.
 */
export const pad: Lowering<'pad'> = ({ block, module, outs: [out] }, [x, value], params) => {
  if (!module.mesh) return [stableHloPad(block, x, value, out, params)]
  const { low, high, interior } = params
  const between = interior.map((n, axis) => (x.aval.shape[axis] > 0 ? n : 0))
  if (between.every(n => n === 0)) return [padThenCrop(block, x, value, out, low, high)]
  const spaced = padAfterEach(block, x, value, between)
  // The last element is followed by padding too, which is not between elements.
  const after = high.map((n, axis) => n - between[axis])
  return [padThenCrop(block, spaced, value, out, low, after)]
}

const stableHloPad = (
  block: BlockWriter,
  x: Lowered,
  value: Lowered,
  out: Aval,
  { low, high, interior }: PrimitiveParams['pad'],
): Lowered =>
  block.op('stablehlo.pad', [x, value], out, {
    edge_padding_low: integers(low),
    edge_padding_high: integers(high),
    interior_padding: integers(interior),
  })

/** Pads the ends, where the numbers are positive, and crops them, where they are negative. */
function padThenCrop(
  block: BlockWriter,
  x: Lowered,
  value: Lowered,
  { dtype, shape }: Aval,
  low: readonly number[],
  high: readonly number[],
): Lowered {
  const [cropLow, cropHigh] = [low, high].map(list => list.map(n => Math.max(0, -n)))
  const whole = { dtype, shape: shape.map((size, axis) => size + cropLow[axis] + cropHigh[axis]) }
  const padded = stableHloPad(block, x, value, whole, {
    low: low.map(n => Math.max(0, n)),
    high: high.map(n => Math.max(0, n)),
    interior: low.map(() => 0),
  })
  const limit = whole.shape.map((size, axis) => size - cropHigh[axis])
  const strides = shape.map(() => 1)
  return ops.slice(block, padded, cropLow, limit, strides)
}

/** Adds `counts[axis]` elements after each one along an axis: [n] -> [n, 1] -> [n, 1 + count] -> [n (1 + count)]. */
function padAfterEach(block: BlockWriter, x: Lowered, value: Lowered, counts: readonly number[]): Lowered {
  const { dtype, shape } = x.aval
  const asRows = shape.flatMap(size => [size, 1])
  const rows = { dtype, shape: shape.flatMap((size, axis) => [size, 1 + counts[axis]]) }
  const zeros = asRows.map(() => 0)
  const padded = stableHloPad(block, ops.reshape(block, x, asRows), value, rows, {
    low: zeros,
    high: counts.flatMap(n => [0, n]),
    interior: zeros,
  })
  const joined = shape.map((size, axis) => size * (1 + counts[axis]))
  return ops.reshape(block, padded, joined)
}
