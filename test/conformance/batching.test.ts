import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DType } from '../../src/base/dtypes.js'
import { hostFrom, sizeOf, toNumbers } from '../../src/base/host-tensor.js'
import type { HostTensor } from '../../src/base/host-tensor.js'
import { interpret } from '../../src/engine/compile/reference/interpret.js'
import { aval } from '../../src/engine/program/aval.js'
import type { Aval } from '../../src/engine/program/aval.js'
import * as ops from '../../src/engine/program/ops.js'
import { binaryPrimitives, comparePrimitives, unaryPrimitives } from '../../src/engine/program/primitives.js'
import type { CollectivePrimitive, PrimitiveName } from '../../src/engine/program/primitives.js'
import type { PrimitiveParams } from '../../src/engine/program/program.js'
import { Mesh, NamedSharding, P } from '../../src/engine/program/sharding.js'
import { bind, traceClosed } from '../../src/engine/program/trace.js'
import type { Value } from '../../src/engine/program/value.js'
import { batchProgram } from '../../src/engine/transform/vmap.js'

/** A primitive on examples of these types. `range`: the values of integer operands, [low, high). */
interface Case {
  name: string
  primitive: PrimitiveName
  inputs: Aval[]
  f: (xs: Value[]) => Value[]
  range?: [number, number]
}

const f32 = (...shape: number[]): Aval => aval('float32', shape)
const i32 = (...shape: number[]): Aval => aval('int32', shape)
const bool = (...shape: number[]): Aval => aval('bool', shape)
const u32 = (...shape: number[]): Aval => aval('uint32', shape)

function one<P extends PrimitiveName>(
  primitive: P,
  inputs: Aval[],
  params: PrimitiveParams[P],
  range?: [number, number],
  name: string = primitive,
): Case {
  return { name, primitive, inputs, f: xs => bind(primitive, xs, params), range }
}

const integer = new Set<PrimitiveName>([
  'and',
  'or',
  'xor',
  'not',
  'shiftLeft',
  'shiftRightLogical',
  'shiftRightArithmetic',
])
const elementwise = [
  ...unaryPrimitives.map(p => one(p, [integer.has(p) ? i32(2, 3) : f32(2, 3)], {})),
  ...[...binaryPrimitives, ...comparePrimitives].map(p =>
    one(p, integer.has(p) ? [i32(2, 3), i32(2, 3)] : [f32(2, 3), f32(2, 3)], {}),
  ),
]

const gather = (axes: number[], batchDims = 0): PrimitiveParams['gather'] => ({ axes, batchDims, mode: 'drop' })
const step = traceClosed([f32(), f32(2), f32(2)], ([w, carry, x]) => {
  const next = ops.add(ops.mul(carry, ops.broadcastInDim(w, [2], [])), x)
  return [next, ops.mul(next, next)]
})
const twoCarries = traceClosed([f32(), i32(), f32()], ([a, i, x]) => [
  ops.add(a, x),
  ops.add(i, 1),
  ops.convertElementType(i, 'float32'),
])
const below = traceClosed([f32(), f32()], ([limit, x]) => [ops.lt(x, limit)])
const grow = traceClosed([f32(), f32()], ([rate, x]) => [ops.add(x, ops.add(ops.abs(rate), 0.25))])
const branches = [
  traceClosed([f32(3), f32(3)], ([x, y]) => [ops.add(x, y), y]),
  traceClosed([f32(3), f32(3)], ([x]) => [ops.mul(x, x), ops.full([3], 1, 'float32')]),
  traceClosed([f32(3), f32(3)], ([x, y]) => [ops.sub(x, y), x]),
]
const sineSum = traceClosed([f32(3), f32(3)], ([x, y]) => [ops.sin(ops.add(x, y)), y])

const mesh = new Mesh({ data: 2, expert: 2 })
const [dataAxis, expertAxis] = mesh.axes
/** Every collective, each along an axis over which its operand varies or does not. */
const everyCollective = traceClosed([f32(2, 2), f32(2), f32(1, 2)], ([x, w, y]) => [
  ops.allToAll(ops.mul(x, ops.allGather(ops.reshape(y, [2, 1]), expertAxis, 1)), dataAxis, 1, 1),
  ops.psum(ops.add(ops.reduceSum(x, [0]), w), [dataAxis, expertAxis].slice(0, 1)),
  ops.reduceScatter(w, expertAxis, 0),
  ops.ppermute(
    ops.mul(y, ops.broadcastInDim(ops.convertElementType(ops.axisIndex(dataAxis), 'float32'), [1, 2], [])),
    expertAxis,
    [
      [0, 1],
      [1, 0],
    ],
  ),
])

const cases: Case[] = [
  ...elementwise,
  one('convertElementType', [f32(2, 3)], { dtype: 'int32' }),
  one('bitcastConvertType', [f32(4)], { dtype: 'int32' }),
  one('select', [bool(2, 3), f32(2, 3), f32(2, 3)], {}, [0, 2]),
  one('broadcastInDim', [f32(2, 1)], { shape: [4, 2, 3], dims: [1, 2] }),
  one('reshape', [f32(2, 3)], { shape: [3, 2] }),
  one('transpose', [f32(2, 3, 4)], { perm: [2, 0, 1] }),
  one('concatenate', [f32(2, 3), f32(2, 1), f32(2, 2)], { axis: 1 }),
  one('pad', [f32(2, 3), f32()], { low: [1, -1], high: [0, 2], interior: [1, 2] }),
  one('slice', [f32(5, 4)], { start: [1, 0], limit: [5, 3], strides: [2, 1] }),
  one('rev', [f32(2, 3)], { axes: [1] }),
  {
    name: 'iota',
    primitive: 'iota',
    inputs: [f32(4)],
    f: ([x]) => [ops.add(x, ops.iota('float32', [4], 0)), ops.iota('int32', [2, 2], 1)],
  },
  one('dynamicSlice', [f32(4, 3, 5), i32(), i32(), i32()], { sizes: [2, 3, 1] }, [-2, 6]),
  one('dynamicSlice', [f32(2, 3), i32(), i32()], { sizes: [2, 3] }, [-2, 6], 'dynamicSlice of all'),
  one('dynamicUpdateSlice', [f32(4, 3, 5), f32(2, 3, 1), i32(), i32(), i32()], {}, [-2, 6]),
  one('reduceSum', [f32(2, 3, 2)], { axes: [0, 2] }),
  one('reduceMax', [f32(2, 3)], { axes: [1] }),
  one('reduceMin', [f32(2, 3)], { axes: [0, 1] }),
  one('reduceProd', [f32(2, 3)], { axes: [1] }),
  one('reduceAnd', [bool(2, 3)], { axes: [1] }, [0, 2]),
  one('reduceOr', [bool(2, 3)], { axes: [0] }, [0, 2]),
  one('argmax', [f32(2, 3)], { axis: 1 }),
  one('argmin', [f32(2, 3)], { axis: 0 }),
  one('cumsum', [f32(2, 3)], { axis: 1, reverse: false }),
  one('cumsum', [f32(2, 3)], { axis: 0, reverse: true }, undefined, 'cumsum reversed'),
  one('dotGeneral', [f32(2, 3, 4), f32(4, 2, 5)], { contract: [[2], [0]], batch: [[0], [1]] }),
  one(
    'dotGeneral',
    [f32(3, 4), f32(5, 4)],
    { contract: [[1], [1]], batch: [[], []] },
    undefined,
    'dotGeneral without batch axes',
  ),
  one('gather', [f32(4, 3, 2), i32(2, 3, 2)], gather([0, 2]), [-1, 5]),
  one('gather', [f32(2, 4, 3), i32(2, 5, 1)], gather([1], 1), [0, 4], 'gather with a batch axis'),
  one('scatter', [f32(4, 3), i32(1, 1), f32(1, 3)], gather([0]), [-1, 5]),
  one('scatter', [f32(2, 3, 4), i32(2, 1, 1), f32(2, 1, 3)], gather([2], 1), [-1, 5], 'scatter with a batch axis'),
  one('scatterAdd', [f32(4, 3), i32(5, 1), f32(5, 3)], gather([0]), [-1, 5]),
  one(
    'scatterAdd',
    [f32(2, 3, 4), i32(2, 5, 1), f32(2, 5, 3)],
    gather([2], 1),
    [-1, 5],
    'scatterAdd with a batch axis',
  ),
  one('sort', [f32(3, 4), i32(3, 4)], { axis: 1 }, [0, 9]),
  one('topK', [f32(2, 4)], { k: 2 }),
  one('threefry2x32', [u32(3), u32(3), u32(3), u32(3)], {}, [0, 100]),
  one('call', [f32(3), f32(3)], { name: 'f', program: sineSum, remat: false }),
  one('composite', [f32(3), f32(3)], { name: 'f', program: sineSum }),
  one('linearCall', [f32(3), f32(3)], {
    name: 'f',
    program: branches[0],
    transpose: traceClosed([f32(3), f32(3), f32(3)], ([, a, b]) => [ops.add(a, b)]),
    numResiduals: 1,
  }),
  one('scan', [f32(), f32(2), f32(4, 2)], { body: step, numConsts: 1, numCarry: 1, length: 4, reverse: false }),
  one(
    'scan',
    [f32(), i32(), f32(4)],
    { body: twoCarries, numConsts: 0, numCarry: 2, length: 4, reverse: true },
    [0, 3],
    'scan reversed, two carries',
  ),
  one(
    'scan',
    [f32(2), f32(4, 2)],
    {
      body: traceClosed([f32(2), f32(2)], ([h, x]) => [ops.full([2], 2, 'float32'), ops.mul(h, x)]),
      numConsts: 0,
      numCarry: 1,
      length: 4,
      reverse: false,
    },
    undefined,
    'scan that forgets its carry',
  ),
  one('while', [f32(), f32(), f32()], { condition: below, body: grow, numConditionConsts: 1, numBodyConsts: 1 }),
  one('cond', [i32(), f32(3), f32(3)], { branches }, [-1, 4]),
  one('shardingConstraint', [f32(4, 3)], { sharding: new NamedSharding(mesh, P('data')) }),
  one('shardMap', [f32(4, 2), f32(2), f32(2, 4)], {
    mesh,
    inSpecs: [P('data'), P(), P('expert', 'data')],
    outSpecs: [P('data', 'expert'), P(), P('expert'), P('expert', 'data')],
    body: everyCollective,
  }),
]

const size = 3
const isInteger = (dtype: DType): boolean => dtype !== 'float32'

/** Reproducible data: positive floats without ties, integers in the range. */
function data({ dtype, shape }: Aval, seed: number, [low, high]: [number, number]): HostTensor {
  const noise = (i: number): number => (Math.sin(12.9898 * (i + 1) + 78.233 * seed) * 43758.5453) % 1
  return hostFrom(
    dtype,
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) =>
      isInteger(dtype) ? low + Math.floor(Math.abs(noise(i)) * (high - low)) : Math.abs(noise(i)) * 1.5 + 0.1,
    ),
  )
}

const example = (t: HostTensor, i: number): HostTensor => {
  const length = sizeOf(t.shape.slice(1))
  return { dtype: t.dtype, shape: t.shape.slice(1), data: t.data.slice(i * length, (i + 1) * length) }
}

describe('batching agrees with a loop over the examples', () => {
  it.each(cases)('$name', ({ inputs, f, range = [0, 4], primitive }) => {
    const program = traceClosed(inputs, f)
    expect(program.equations.some(e => e.primitive === primitive)).toBe(true)
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { minLength: inputs.length, maxLength: inputs.length }),
        fc.nat(1000),
        (batched, seed) => {
          const tensors = inputs.map((a, i) =>
            data(batched[i] ? aval(a.dtype, [size, ...a.shape]) : a, seed + i, range),
          )
          const mapped = batchProgram(
            program,
            { size },
            batched,
            program.outputs.map(() => true),
          )
          const results = interpret(mapped.program, tensors)
          for (let i = 0; i < size; i++) {
            const expected = interpret(
              program,
              tensors.map((t, k) => (batched[k] ? example(t, i) : t)),
            )
            expected.forEach((e, k) => {
              const actual = example(results[k], i)
              expect(actual.shape).toEqual(e.shape)
              const [a, b] = [toNumbers(actual), toNumbers(e)]
              a.forEach((x, n) =>
                expect(
                  Object.is(x, b[n]) || Math.abs(x - b[n]) <= 1e-5 * (1 + Math.abs(b[n])),
                  `${x} is not ${b[n]}`,
                ).toBe(true),
              )
            })
          }
        },
      ),
      { numRuns: 12, seed: 1 },
    )
  })

  it('covers every primitive', () => {
    const covered = new Set(cases.map(c => c.primitive))
    const all = Object.keys(traceableNames) as PrimitiveName[]
    expect(all.filter(p => !covered.has(p))).toEqual([])
  })
})

// The type makes this list complete: a new primitive is a compile error here.
const traceableNames: { [P in Exclude<PrimitiveName, CollectivePrimitive>]: true } = {
  ...(Object.fromEntries([...unaryPrimitives, ...binaryPrimitives, ...comparePrimitives].map(p => [p, true])) as {
    [
      P in (typeof unaryPrimitives)[number] | (typeof binaryPrimitives)[number] | (typeof comparePrimitives)[number]
    ]: true
  }),
  convertElementType: true,
  bitcastConvertType: true,
  select: true,
  broadcastInDim: true,
  reshape: true,
  transpose: true,
  concatenate: true,
  pad: true,
  slice: true,
  rev: true,
  iota: true,
  dynamicSlice: true,
  dynamicUpdateSlice: true,
  reduceSum: true,
  reduceMax: true,
  reduceMin: true,
  reduceProd: true,
  reduceAnd: true,
  reduceOr: true,
  argmax: true,
  argmin: true,
  cumsum: true,
  dotGeneral: true,
  gather: true,
  scatter: true,
  scatterAdd: true,
  sort: true,
  topK: true,
  threefry2x32: true,
  call: true,
  composite: true,
  linearCall: true,
  scan: true,
  while: true,
  cond: true,
  shardingConstraint: true,
  shardMap: true,
}
