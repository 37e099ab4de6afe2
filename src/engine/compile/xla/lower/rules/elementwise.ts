import { isFloat } from '../../../../../base/dtypes.js'
import type { BlockWriter, Lowered } from '../writer.js'
import * as ops from '../ops.js'
import type { Direction } from '../ops.js'
import type { LoweringContext, Lowerings } from './rule.js'

/** A rule for primitives without parameters. */
type Rule = (context: LoweringContext, operands: readonly Lowered[]) => readonly Lowered[]

/** One operation of StableHLO. */
const plain =
  (operation: string): Rule =>
  ({ block }, operands) => [ops.elementwise(block, operation, ...operands)]

/** One operation of StableHLO for numbers, and a logical one for bool. */
const logicalForBool =
  (operation: string, ofBool: string): Rule =>
  (context, operands) =>
    plain(operands[0].aval.dtype === 'bool' ? ofBool : operation)(context, operands)

/** An operation of CHLO, which XLA expands. */
const extended =
  (operation: string): Rule =>
  ({ block }, operands) => [block.op(`chlo.${operation}`, operands, operands[0].aval)]

const comparison =
  (direction: Direction): Rule =>
  ({ block }, [x, y]) => [ops.compare(block, direction, x, y)]

const isUnsigned = (x: Lowered): boolean => x.aval.dtype.startsWith('u')

/** Whether a value is a constant, or a constant that is broadcast. */
function isConstant(block: BlockWriter, x: Lowered): boolean {
  const [source = x] = block.operandsIfMadeBy(x, 'stablehlo.broadcast_in_dim') ?? []
  return block.operandsIfMadeBy(source, 'stablehlo.constant') !== undefined
}

/** XLA rewrites the integer x / x as 1, also for 0 / 0, which is -1. So divisors that may be 0 are never 0 to XLA. */
const div: Rule = (context, [x, y]) => {
  const { block } = context
  if (isFloat(x.aval.dtype) || isConstant(block, y)) return plain('divide')(context, [x, y])
  const isZero = ops.compare(block, 'EQ', y, ops.like(block, y, 0))
  const [quotient] = plain('divide')(context, [x, ops.select(block, isZero, ops.like(block, y, 1), y)])
  return [ops.select(block, isZero, ops.elementwise(block, 'not', ops.like(block, y, 0)), quotient)]
}

/** The element-wise primitives. */
// prettier-ignore
export const elementwiseRules = {
  neg: plain('negate'),
  // StableHLO has no abs and sign for unsigned integers.
  abs: (context, [x]) => (isUnsigned(x) ? [x] : plain('abs')(context, [x])),
  sign: (context, [x]) =>
    isUnsigned(x) ? [ops.convert(context.block, ops.isTrue(context.block, x), x.aval.dtype)] : plain('sign')(context, [x]),
  floor: plain('floor'),
  ceil: plain('ceil'),
  round: plain('round_nearest_even'),
  exp: plain('exponential'),
  expm1: plain('exponential_minus_one'),
  log: plain('log'),
  log1p: plain('log_plus_one'),
  sqrt: plain('sqrt'),
  rsqrt: plain('rsqrt'),
  sin: plain('sine'),
  cos: plain('cosine'),
  tanh: plain('tanh'),
  logistic: plain('logistic'),
  erf: extended('erf'),
  erfInv: extended('erf_inv'),
  not: plain('not'),
  isFinite: ({ block, outs: [out] }, [x]) => [block.op('stablehlo.is_finite', [x], out)],
  stopGradient: (_, [x]) => [x],
  optimizationBarrier: plain('optimization_barrier'),
  // StableHLO's conversion to an integer saturates, and makes 0 of NaN.
  convertElementType: ({ block }, [x], { dtype }) => [
    dtype === 'bool' ? ops.isTrue(block, x) : ops.convert(block, x, dtype),
  ],
  bitcastConvertType: ({ block }, [x], { dtype }) => [ops.bitcast(block, x, dtype)],

  add: logicalForBool('add', 'or'),
  sub: plain('subtract'),
  mul: logicalForBool('multiply', 'and'),
  div,
  rem: plain('remainder'),
  pow: plain('power'),
  max: logicalForBool('maximum', 'or'),
  min: logicalForBool('minimum', 'and'),
  atan2: plain('atan2'),
  and: plain('and'),
  or: plain('or'),
  xor: plain('xor'),
  shiftLeft: plain('shift_left'),
  shiftRightLogical: plain('shift_right_logical'),
  shiftRightArithmetic: plain('shift_right_arithmetic'),

  eq: comparison('EQ'),
  ne: comparison('NE'),
  lt: comparison('LT'),
  le: comparison('LE'),
  gt: comparison('GT'),
  ge: comparison('GE'),
  select: ({ block }, [condition, x, y]) => [ops.select(block, condition, x, y)],
} satisfies Lowerings
