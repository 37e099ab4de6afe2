import { extremeOf, isFloat } from '../../../../../base/dtypes.js'
import type { DType } from '../../../../../base/dtypes.js'
import type { ReduceParams } from '../../../../program/primitives.js'
import { integers } from '../mlir.js'
import * as ops from '../ops.js'
import type { BlockWriter, Lowered } from '../writer.js'
import type { Lowering, LoweringContext, Lowerings } from './rule.js'

/** The dtype in which a reduction of `dtype` adds or multiplies: 16-bit floats are rounded once, at the end. */
const summedAs = (dtype: DType): DType => (isFloat(dtype) ? 'float32' : dtype)

/** Applies `f` to an array converted to the dtype in which it is summed, and converts its result back. */
export const widened = (b: BlockWriter, x: Lowered, f: (x: Lowered) => Lowered): Lowered =>
  ops.convert(b, f(ops.convert(b, x, summedAs(x.aval.dtype))), x.aval.dtype)

/** The operation of StableHLO that combines two elements, and the element that changes nothing. */
interface Fold {
  operation: string
  initial: number | bigint
}

const reduction =
  (foldOf: (dtype: DType) => Fold, sums = false) =>
  ({ block }: LoweringContext, [x]: readonly Lowered[], { axes }: ReduceParams): Lowered[] => {
    if (axes.length === 0) return [x]
    const { operation, initial } = foldOf(x.aval.dtype)
    const run = (wide: Lowered): Lowered =>
      ops.reduce(
        block,
        [wide],
        [block.constant(initial, { dtype: wide.aval.dtype, shape: [] })],
        axes,
        (b, [p], [q]) => [ops.elementwise(b, operation, p, q)],
      )[0]
    return [sums ? widened(block, x, run) : run(x)]
  }

/**
 * The largest or smallest element. XLA's devices combine what each has found by a comparison that loses NaN, on a
 * processor, so on a mesh they also tell each other whether there was one.
 */
const extreme =
  (foldOf: (dtype: DType) => Fold) =>
  (context: LoweringContext, [x]: readonly Lowered[], params: ReduceParams): Lowered[] => {
    const { block, module } = context
    const [found] = reduction(foldOf)(context, [x], params)
    const isNaN = module.mesh && params.axes.length > 0 && ops.isNaNOf(block, x)
    if (!isNaN) return [found]
    const [hasNaN] = reduction(() => or)(context, [isNaN], params)
    return [ops.select(block, hasNaN, ops.like(block, found, NaN), found)]
  }

const or: Fold = { operation: 'or', initial: 0 }
const and: Fold = { operation: 'and', initial: 1 }

const sumOf = (dtype: DType): Fold => (dtype === 'bool' ? or : { operation: 'add', initial: 0 })
const productOf = (dtype: DType): Fold => (dtype === 'bool' ? and : { operation: 'multiply', initial: 1 })
const maxOf = (dtype: DType): Fold =>
  dtype === 'bool' ? or : { operation: 'maximum', initial: extremeOf(dtype, 'least') }
const minOf = (dtype: DType): Fold =>
  dtype === 'bool' ? and : { operation: 'minimum', initial: extremeOf(dtype, 'greatest') }

const LAST_INT32 = 2 ** 31 - 1

/**
 * The position of the best element: a reduction of pairs of an element and its index. Of two equal elements, or two
 * NaN, the first is better; NaN is better than any number. So the result does not depend on the order of combination.
 */
const bestIndex =
  (direction: 'GT' | 'LT') =>
  ({ block }: LoweringContext, [x]: readonly Lowered[], { axis }: { axis: number }): Lowered[] => {
    const { dtype, shape } = x.aval
    const worst = block.constant(extremeOf(dtype, direction === 'GT' ? 'least' : 'greatest'), { dtype, shape: [] })
    const last = block.constant(LAST_INT32, { dtype: 'int32', shape: [] })
    const combine = (b: BlockWriter, [p, i]: readonly Lowered[], [q, j]: readonly Lowered[]): readonly Lowered[] => {
      const [isNaN, otherIsNaN] = [ops.isNaNOf(b, p), ops.isNaNOf(b, q)]
      let isBetter = ops.compare(b, direction, p, q)
      let isEqual = ops.compare(b, 'EQ', p, q)
      if (isNaN && otherIsNaN) {
        isBetter = ops.elementwise(b, 'or', isBetter, ops.compare(b, 'GT', isNaN, otherIsNaN))
        isEqual = ops.elementwise(b, 'or', isEqual, ops.elementwise(b, 'and', isNaN, otherIsNaN))
      }
      const isFirst = ops.elementwise(b, 'and', isEqual, ops.compare(b, 'LT', i, j))
      const takes = ops.elementwise(b, 'or', isBetter, isFirst)
      return [ops.select(b, takes, p, q), ops.select(b, takes, i, j)]
    }
    return [ops.reduce(block, [x, ops.iota(block, 'int32', shape, axis)], [worst, last], [axis], combine)[1]]
  }

/**
 * A sum of all squares. The squares of a product's result are computed for the sum alone, even if they are used
 * elsewhere too: XLA would store them otherwise. In a training step, the norm of a gradient and the optimizer use the
 * same squares.
 */
const reduceSum: Lowering<'reduceSum'> = (context, [x], params) => {
  const { block } = context
  const factors = block.operandsIfMadeBy(x, 'stablehlo.multiply')
  const isSumOfSquares = params.axes.length === x.aval.shape.length && factors?.[0].name === factors?.[1].name
  if (!factors || !isSumOfSquares || !block.operandsIfMadeBy(factors[0], 'stablehlo.dot_general'))
    return reduction(sumOf, true)(context, [x], params)
  const apart = ops.elementwise(block, 'optimization_barrier', factors[0])
  return reduction(sumOf, true)(context, [ops.elementwise(block, 'multiply', apart, apart)], params)
}

/** Reductions and cumulative sums. */
export const reduceRules = {
  reduceSum,
  reduceProd: reduction(productOf, true),
  reduceMax: extreme(maxOf),
  reduceMin: extreme(minOf),
  reduceAnd: reduction(() => and),
  reduceOr: reduction(() => or),
  argmax: bestIndex('GT'),
  argmin: bestIndex('LT'),
  // A window as long as the axis, padded before the first (or after the last) element.
  cumsum: ({ block }, [x], { axis, reverse }) => {
    const { shape } = x.aval
    if (shape.includes(0)) return [x]
    const along = (n: number, other: number): number[] => shape.map((_, i) => (i === axis ? n : other))
    const margin = shape[axis] - 1
    const padding = shape.map((_, i) => (i !== axis ? [0, 0] : reverse ? [0, margin] : [margin, 0]))
    const ones = integers(along(1, 1))
    const sum = (wide: Lowered): Lowered => {
      const scalar = { dtype: wide.aval.dtype, shape: [] }
      return block.op(
        'stablehlo.reduce_window',
        [wide, block.constant(0, scalar)],
        wide.aval,
        {
          window_dimensions: integers(along(shape[axis], 1)),
          window_strides: ones,
          base_dilations: ones,
          window_dilations: ones,
          padding: `dense<${JSON.stringify(padding)}> : tensor<${shape.length}x2xi64>`,
        },
        [block.region([scalar, scalar], (b, [p, q]) => [ops.elementwise(b, 'add', p, q)])],
      )
    }
    return [widened(block, x, sum)]
  },
} satisfies Lowerings
