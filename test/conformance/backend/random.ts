import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isFloat } from '../../../src/base/dtypes.js'
import type { DType } from '../../../src/base/dtypes.js'
import { toNumbers } from '../../../src/base/host-tensor.js'
import type { HostTensor } from '../../../src/base/host-tensor.js'
import { interpret } from '../../../src/engine/compile/reference/interpret.js'
import { sameShape } from '../../../src/engine/program/aval.js'
import * as ops from '../../../src/engine/program/ops.js'
import type { Program } from '../../../src/engine/program/program.js'
import { traceClosed } from '../../../src/engine/program/trace.js'
import type { Value } from '../../../src/engine/program/value.js'
import { everyDType, isUnsigned, sample, tensor } from './case.js'
import { difference, sameBits } from './compare.js'
import type { Tolerance } from './compare.js'

/** One random choice: an equation, its operand, and numbers that choose its parameters. */
interface Step {
  op: number
  operand: number
  a: number
  b: number
}

/**
 * Adds an equation on `x`; `other` finds a value of its type among those made so far. undefined if it does not apply.
 */
type Op = (x: Value, step: Step, other: (x: Value) => Value) => Value | undefined

const axisOf = (x: Value, n: number): number => n % Math.max(1, x.ndim)
const anyAxis =
  (f: (x: Value, axis: number, step: Step) => Value): Op =>
  (x, step) =>
    x.ndim === 0 ? undefined : f(x, axisOf(x, step.a), step)

/** Primitives that only move elements, for every dtype. */
const movement: Op[] = [
  (x, { a }) =>
    ops.broadcastInDim(
      x,
      [...x.shape.slice(0, a % (x.ndim + 1)), 2, ...x.shape.slice(a % (x.ndim + 1))],
      ops.range(x.ndim + 1).filter(i => i !== a % (x.ndim + 1)),
    ),
  x => ops.reshape(x, [x.size]),
  anyAxis((x, axis) => ops.moveAxis(x, axis, 0)),
  anyAxis((x, axis) => ops.rev(x, [axis])),
  anyAxis((x, axis, { b }) =>
    ops.slice(
      x,
      x.shape.map(() => 0),
      x.shape,
      x.shape.map((_, i) => (i === axis ? 1 + (b % 3) : 1)),
    ),
  ),
  anyAxis((x, axis, { b }) =>
    ops.pad(
      x,
      ops.full([], 1, x.dtype),
      x.shape.map((_, i) => (i === axis ? (b % 3) - 1 : 0)),
      x.shape.map((_, i) => (i === axis ? 1 : 0)),
      x.shape.map((_, i) => (i === axis ? b % 2 : 0)),
    ),
  ),
  (x, { a }, other) => (x.ndim === 0 ? undefined : ops.concatenate([x, other(x)], axisOf(x, a))),
  (x, _, other) => ops.select(ops.lt(x, other(x)), other(x), x),
  anyAxis((x, axis, { a, b }) =>
    ops.gather(x, ops.add(ops.iota('int32', [3, 1], 0), (a % 4) - 2), {
      axes: [axis],
      batchDims: 0,
      mode: b % 2 ? 'clip' : 'fill',
    }),
  ),
  anyAxis((x, axis) => ops.sort([x], axis)[0]),
  x =>
    x.ndim === 0 || x.shape[x.ndim - 1] === 0 ? undefined : ops.topK(x, 1 + Math.floor(x.shape[x.ndim - 1] / 2))[0],
  (x, { a }) => ops.convertElementType(x, everyDType[a % everyDType.length]),
]

const within = (x: Value): Value => ops.min(ops.max(x, isUnsigned(x.dtype) ? 0 : -6), 6)
const numeric =
  (f: Op): Op =>
  (x, step, other) =>
    x.dtype === 'bool' ? undefined : f(x, step, other)

/** Arithmetic on small whole numbers, which stay small and whole: exact in every dtype. */
const arithmetic: Op[] = [
  numeric((x, _, other) => within(ops.add(x, other(x)))),
  numeric((x, _, other) => within(ops.mul(x, other(x)))),
  numeric((x, _, other) => within(ops.sub(other(x), isUnsigned(x.dtype) ? ops.min(x, other(x)) : x))),
  numeric((x, _, other) => ops.max(x, other(x))),
  numeric(x => (isUnsigned(x.dtype) ? undefined : ops.abs(ops.neg(x)))),
  numeric(x => (isFloat(x.dtype) ? ops.round(ops.mul(x, 0.5)) : ops.div(x, 2))),
  numeric(x => (x.ndim === 0 ? undefined : within(ops.reduceSum(x, [0])))),
  numeric((x, { a }) => (x.ndim === 0 || x.shape.includes(0) ? undefined : ops.reduceMax(x, [axisOf(x, a)]))),
  numeric((x, { a, b }) => (x.ndim === 0 ? undefined : within(ops.cumsum(x, axisOf(x, a), b % 2 === 1)))),
  numeric((x, { a }, other) =>
    x.ndim === 0
      ? undefined
      : within(ops.dotGeneral(x, other(x), { contract: [[axisOf(x, a)], [axisOf(x, a)]], batch: [[], []] })),
  ),
  numeric((x, { a }, other) =>
    x.ndim < 2
      ? undefined
      : within(
          ops.dotGeneral(x, other(x), {
            contract: [[axisOf(x, a + 1)], [axisOf(x, a + 1)]],
            batch: [[axisOf(x, a)], [axisOf(x, a)]],
          }),
        ),
  ),
  numeric((x, _, other) =>
    x.ndim === 0 || x.shape[0] === 0
      ? undefined
      : within(
          ops.scatterAdd(x, ops.full([x.shape[0], 1], 1, 'int32'), other(x), { axes: [0], batchDims: 0, mode: 'drop' }),
        ),
  ),
  (x, _, other) => ops.convertElementType(ops.eq(x, other(x)), 'int32'),
  (x, _, other) => (x.dtype === 'bool' ? ops.or(ops.not(x), other(x)) : ops.ge(x, other(x))),
  (x, { a }) => (x.ndim === 0 || x.shape[axisOf(x, a)] === 0 ? undefined : ops.argmax(x, axisOf(x, a))),
]

const float32 =
  (f: Op): Op =>
  (x, step, other) =>
    x.dtype === 'float32' ? f(x, step, other) : undefined

/** Smooth functions that keep values small, so that rounding errors stay small. */
const smooth: Op[] = [
  float32(x => ops.tanh(x)),
  float32(x => ops.logistic(x)),
  float32(x => ops.sin(x)),
  float32(x => ops.exp(ops.neg(ops.abs(x)))),
  float32(x => ops.log1p(ops.abs(x))),
  float32(x => ops.rsqrt(ops.add(ops.mul(x, x), 1))),
  float32(x => ops.erf(x)),
  float32((x, _, other) => ops.tanh(ops.mul(x, other(x)))),
  float32((x, _, other) => ops.tanh(ops.add(x, other(x)))),
  float32(x => (x.ndim === 0 ? undefined : ops.tanh(ops.reduceSum(x, [x.ndim - 1])))),
  float32((x, { a }, other) =>
    x.ndim === 0
      ? undefined
      : ops.tanh(ops.dotGeneral(x, other(x), { contract: [[axisOf(x, a)], [axisOf(x, a)]], batch: [[], []] })),
  ),
  ...movement.slice(0, 6),
]

const MAX_SIZE = 500
const shapes = [[], [1], [4], [2, 3], [3, 1, 2], [0, 2]]

/**
 * The program that the steps write, from a few inputs; its outputs are the last value, or all values, so that no
 * equation is removed.
 */
function programOf(
  table: readonly Op[],
  inputs: readonly HostTensor[],
  steps: readonly Step[],
  numOutputs = Infinity,
): Program {
  return traceClosed(inputs, xs => {
    const made = [...xs]
    for (const step of steps) {
      const x = made[step.operand % made.length]
      const other = (like: Value): Value =>
        made.filter(v => v.dtype === like.dtype && sameShape(v.shape, like.shape)).reverse()[step.b % 3] ?? like
      const result = table[step.op % table.length](x, step, other)
      if (result !== undefined && result.size <= MAX_SIZE && result.ndim <= 5) made.push(result)
    }
    return made.slice(-numOutputs)
  })
}

const step = fc.record({ op: fc.nat(999), operand: fc.nat(99), a: fc.nat(11), b: fc.nat(11) })
const steps = fc.array(step, { minLength: 5, maxLength: 15, size: 'max' })

/** Small whole numbers, which every dtype holds. */
const small = (dtype: DType, shape: readonly number[], seed: number): HostTensor => {
  const values = toNumbers(sample('uint8', shape, seed))
  return tensor(
    dtype,
    values.map(v => (dtype === 'bool' ? v % 2 : (v % 7) - (isUnsigned(dtype) ? 0 : 3))),
    shape,
  )
}

const inputsOf = (
  dtypes: readonly DType[],
  value: (dtype: DType, shape: readonly number[], seed: number) => HostTensor,
): fc.Arbitrary<HostTensor[]> =>
  fc.array(
    fc
      .tuple(fc.constantFrom(...dtypes), fc.constantFrom(...shapes), fc.nat(20))
      .map(([dtype, shape, seed]) => value(dtype, shape, seed)),
    { minLength: 1, maxLength: 4 },
  )

type Run = (program: Program, inputs: readonly HostTensor[], donated?: readonly boolean[]) => Promise<HostTensor[]>

/**
 * Random programs agree with the interpreter, and give the same bits with and without donation. `share`: one of how
 * many programs is run.
 */
export function randomPrograms(run: Run, share: number): void {
  const agree = (
    table: readonly Op[],
    inputs: fc.Arbitrary<HostTensor[]>,
    tolerance: Tolerance,
    numRuns: number,
  ): Promise<void> =>
    fc.assert(
      fc.asyncProperty(inputs, steps, async (xs, list) => {
        const program = programOf(table, xs, list)
        const expected = interpret(program, xs)
        const results = await run(program, xs)
        expected.forEach((e, i) =>
          expect(difference(results[i], e, tolerance), `output ${i} of\n${program}`).toBeUndefined(),
        )
      }),
      { numRuns: Math.ceil(numRuns / share), seed: 20 },
    )

  it('of exact arithmetic, all dtypes mixed: identical results', () =>
    agree([...movement, ...arithmetic], inputsOf(everyDType, small), { ulps: 0 }, 150))
  it('of smooth functions in float32: nearly the same', () =>
    agree(smooth, inputsOf(['float32'], sample), { ulps: 64, absolute: 2e-5 }, 100))

  it('of arithmetic in float32: donated or not, the same bits', () =>
    fc.assert(
      fc.asyncProperty(
        inputsOf(['float32'], sample),
        steps,
        fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        async (xs, list, mask) => {
          const program = programOf([...arithmetic.slice(0, 5), ...smooth], xs, list, 3)
          const copies = xs.map(x => ({ ...x, data: x.data.slice() }))
          const [plain, donated] = [
            await run(program, xs),
            await run(
              program,
              copies,
              xs.map((_, i) => mask[i]),
            ),
          ]
          plain.forEach((p, i) => expect(sameBits(donated[i], p), `output ${i} of\n${program}`).toBe(true))
        },
      ),
      { numRuns: Math.ceil(100 / share), seed: 21 },
    ))
}
