/** Random cases of programs: their inputs and steps, and how results are compared. */
import fc from 'fast-check'
import { isFloat } from '../../../src/base/dtypes.js'
import type { DType } from '../../../src/base/dtypes.js'
import { sizeOf } from '../../../src/base/host-tensor.js'
import type { HostTensor } from '../../../src/base/host-tensor.js'
import * as ops from '../../../src/engine/program/ops.js'
import type { Program } from '../../../src/engine/program/program.js'
import { traceClosed } from '../../../src/engine/program/trace.js'
import type { Value } from '../../../src/engine/program/value.js'
import { everyDType, isUnsigned, specialValues, tensor } from '../backend/case.js'
import { difference } from '../backend/compare.js'
import type { Tolerance } from '../backend/compare.js'
import type { Step } from './operation.js'
import { build, show } from './steps.js'
import type { Table } from './steps.js'

const everyShape = [[], [1], [4], [2, 3], [3, 1, 2], [0, 2], [17]]
/** Longer than a vector of the processor, and than a block of a loop that generates random numbers, with a rest. */
const longShapes = [[37], [257], [4099]]

/** One input of a program: its type, and the choice of its values. */
export interface Input {
  dtype: DType
  shape: readonly number[]
  picks: readonly number[]
  /** Whether it has a batch axis, where the program is batched; whether it is donated, where inputs are. */
  batched: boolean
}

/** Values with ties: edge cases of the dtype, or small multiples of 1/2 with a few edge cases. */
function valuesOf(dtype: DType, small: boolean): (number | bigint)[] {
  if (!small) return specialValues(dtype)
  if (isFloat(dtype)) return [0, 0.5, 1, -1, 1, -0.5, 1.5, -2, 2, 0, 1, -1.5, NaN, 0.5, Infinity, -1]
  return [0, 1, 2, 3, 1, ...(isUnsigned(dtype) || dtype === 'bool' ? [] : [-1, -2, -3])].map(v =>
    dtype === 'bool' ? v % 2 : v,
  )
}

/** The values of an input. `lead`: axes in front of those of its shape. */
export function inputOf({ dtype, shape, picks }: Input, small: boolean, lead: readonly number[] = []): HostTensor {
  const values = valuesOf(dtype, small)
  const whole = [...lead, ...shape]
  const pick = (i: number): number => picks[i % picks.length] + Math.floor(i / picks.length)
  return tensor(
    dtype,
    Array.from({ length: sizeOf(whole) }, (_, i) => values[pick(i) % values.length]),
    whole,
  )
}

/** A value of an input's type that a program draws: at each position one of the values that the input may have. */
export function drawn({ dtype, shape }: Input, small: boolean, words: readonly Value[]): Value {
  const position = ops.reshape(ops.iota('uint32', [sizeOf(shape)], 0), shape)
  const keys = words.map(word => ops.broadcastInDim(word, shape, []))
  const [bits] = ops.threefry2x32([keys[0], keys[1], ops.zerosLike(position), position])
  const values = valuesOf(dtype, small)
  const choice = ops.rem(bits, values.length)
  return values.reduce<Value>(
    (rest, v, i) => ops.select(ops.eq(choice, i), ops.full(shape, v, dtype), rest),
    ops.full(shape, 0, dtype),
  )
}

const choices = { op: fc.nat(999), operand: fc.nat(99), a: fc.nat(11), b: fc.nat(11) }
/** Steps with inner steps of their own, down to a depth. */
export const stepOf = (inner: fc.Arbitrary<Step> | null, maxInner = 4): fc.Arbitrary<Step> =>
  fc.record({ ...choices, inner: inner ? fc.array(inner, { minLength: 1, maxLength: maxInner }) : fc.constant([]) })

/** Programs over inputs of these shapes. */
export const caseOf = (shapes: fc.Arbitrary<number[]>, step: fc.Arbitrary<Step>, maxSteps = 10) =>
  fc.record({
    inputs: fc.array(
      fc.record({
        dtype: fc.constantFrom(...everyDType),
        shape: shapes,
        picks: fc.array(fc.nat(50), { minLength: 1, maxLength: 7 }),
        batched: fc.boolean(),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    steps: fc.array(step, { minLength: 1, maxLength: maxSteps }),
    /** Whether values are small multiples of 1/2. */
    small: fc.boolean(),
    /** Chooses the function that is applied to the last result, if any. */
    last: fc.option(fc.nat(20)),
  })
export type Case = ReturnType<typeof caseOf> extends fc.Arbitrary<infer T> ? T : never

/** Cases for one device. */
export const aCase = caseOf(
  fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...everyShape) },
    { weight: 1, arbitrary: fc.constantFrom(...longShapes) },
  ),
  stepOf(stepOf(null)),
)

/** The program of a case's steps on these inputs, with how far its results may be from the interpreter's. */
export function traced(
  { steps, last, small }: Pick<Case, 'steps' | 'last' | 'small'>,
  inputs: readonly HostTensor[],
  table: Table,
): { program: Program; tolerances: Tolerance[] } {
  let tolerances: Tolerance[] = []
  const program = traceClosed(inputs, values => {
    const built = build(table, values, steps, small, last)
    tolerances = built.tolerances
    return built.outputs
  })
  return { program, tolerances }
}

/**
 * Throws if results differ from the interpreter's, with the program and its inputs. `flushesSubnormals`: whether a zero
 * will do for a subnormal number.
 */
export function compare(
  actual: readonly HostTensor[],
  expected: readonly HostTensor[],
  tolerances: readonly Tolerance[],
  program: Program,
  inputs: readonly HostTensor[],
  flushesSubnormals = false,
): void {
  expected.forEach((e, i) => {
    const wrong = difference(actual[i], e, tolerances[i], flushesSubnormals)
    if (wrong) throw new Error(`output ${i} ${wrong}\n${program}\n${inputs.map(show).join('\n')}`)
  })
}
