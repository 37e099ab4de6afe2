import { isFloat } from '../../../../src/base/dtypes.js'
import type { DType } from '../../../../src/base/dtypes.js'
import type { HostTensor } from '../../../../src/base/host-tensor.js'
import type { GatherParams, IndexMode } from '../../../../src/engine/program/primitives.js'
import { literal } from '../../../../src/engine/program/value.js'
import { Broadcast, diagonal, everyDType, floats, sample, specialValues, tensor, zeros } from '../case.js'
import type { Case, PrimitiveCases } from '../case.js'

interface Indexed {
  name: string
  operand: number[]
  indices: HostTensor
  axes: number[]
  batchDims?: number
}

/**
 * Where gather reads and scatters write. No two rows of an operand's indices are the same, once out-of-bounds ones are
 * dropped or filled.
 */
const places: Indexed[] = [
  { name: 'rows', operand: [4, 3], indices: tensor('int32', [2, 0, 3], [3, 1]), axes: [0] },
  { name: 'rows by int64', operand: [4, 3], indices: tensor('int64', [2, 0, 3], [3, 1]), axes: [0] },
  { name: 'rows by uint32', operand: [4, 3], indices: tensor('uint32', [2, 0, 3], [3, 1]), axes: [0] },
  { name: 'rows in a grid', operand: [5, 2], indices: tensor('int32', [2, 0, 3, 1], [2, 2, 1]), axes: [0] },
  { name: 'one row', operand: [4, 3], indices: tensor('int32', [2]), axes: [0] },
  { name: 'elements', operand: [5], indices: tensor('int32', [4, 1], [2, 1]), axes: [0] },
  { name: 'columns', operand: [2, 4], indices: tensor('int32', [3, 1], [2, 1]), axes: [1] },
  { name: 'the middle axis', operand: [2, 4, 3], indices: tensor('int32', [3, 0], [2, 1]), axes: [1] },
  { name: 'pairs', operand: [4, 3, 2], indices: tensor('int32', [1, 0, 3, 1, 0, 0], [3, 2]), axes: [0, 2] },
  { name: 'pairs, axes reversed', operand: [4, 3], indices: tensor('int32', [1, 0, 2, 3], [2, 2]), axes: [1, 0] },
  { name: 'triples', operand: [2, 3, 4], indices: tensor('int32', [1, 2, 3, 0, 0, 0], [2, 3]), axes: [0, 1, 2] },
  { name: 'batch', operand: [2, 4, 3], indices: tensor('int32', [3, 0, 1, 2], [2, 2, 1]), axes: [1], batchDims: 1 },
  { name: 'batch, last axis', operand: [2, 4], indices: tensor('int32', [3, 1], [2, 1, 1]), axes: [1], batchDims: 1 },
  { name: 'batch, one each', operand: [3, 4], indices: tensor('int32', [3, 1, 0], [3, 1]), axes: [1], batchDims: 1 },
  {
    name: 'batch, axis after a kept one',
    operand: [2, 3, 4],
    indices: tensor('int32', [3, 0, 1, 2], [2, 2, 1]),
    axes: [2],
    batchDims: 1,
  },
  {
    name: 'two batch axes',
    operand: [2, 3, 4],
    indices: tensor('int32', [3, 0, 1, 2, 2, 1], [2, 3, 1, 1]),
    axes: [2],
    batchDims: 2,
  },
  {
    name: 'batch, pairs',
    operand: [2, 3, 4, 2],
    indices: tensor('int32', [0, 3, 2, 1, 1, 1, 2, 2], [2, 2, 2]),
    axes: [1, 2],
    batchDims: 1,
  },
  { name: 'no rows', operand: [4, 3], indices: zeros('int32', [0, 1]), axes: [0] },
  { name: 'rows of nothing', operand: [4, 0], indices: tensor('int32', [2, 0], [2, 1]), axes: [0] },
  { name: 'no axes', operand: [2, 3], indices: zeros('int32', [2, 0]), axes: [] },
]

const outside: Indexed[] = [
  { name: 'out of bounds', operand: [4, 3], indices: tensor('int32', [2, 4, 0, -1, 100, -100], [6, 1]), axes: [0] },
  {
    name: 'out of bounds by int64',
    operand: [4, 3],
    indices: tensor('int64', [2, 2n ** 40n, -(2n ** 40n), 0], [4, 1]),
    axes: [0],
  },
  {
    name: 'out of bounds by uint32',
    operand: [4, 3],
    indices: tensor('uint32', [2, 4294967295, 0], [3, 1]),
    axes: [0],
  },
  {
    name: 'pairs, one out of bounds',
    operand: [3, 2, 2],
    indices: tensor('int32', [1, 0, 3, 1, 0, 2, -1, 0], [4, 2]),
    axes: [0, 1],
  },
  {
    name: 'batch, out of bounds',
    operand: [2, 4],
    indices: tensor('int32', [3, 4, -1, 0], [2, 2, 1]),
    axes: [1],
    batchDims: 1,
  },
  { name: 'extreme', operand: [4], indices: tensor('int32', [2147483647, -2147483648, 1], [3, 1]), axes: [0] },
]

const paramsOf = ({ axes, batchDims = 0 }: Indexed, mode: IndexMode): GatherParams => ({ axes, batchDims, mode })

/** The shape of a gather's result and of a scatter's updates. */
const windowShape = ({ operand, indices, axes, batchDims = 0 }: Indexed): number[] => [
  ...indices.shape.slice(0, -1),
  ...operand.filter((_, i) => i >= batchDims && !axes.includes(i)),
]

export const gather: PrimitiveCases<'gather'> = {
  dtypes: everyDType,
  tolerance: 'bits',
  cases: dtype => {
    const of = (place: Indexed, mode: IndexMode): Case<'gather'> => ({
      name: `${place.name}, ${mode}`,
      operands: [sample(dtype, place.operand), place.indices],
      params: paramsOf(place, mode),
    })
    const cases = [
      ...places.map(p => of(p, 'clip')),
      ...places.map(p => of(p, 'fill')),
      ...outside.flatMap(p => [of(p, 'clip'), of(p, 'fill'), of(p, 'drop')]),
      of({ name: 'the same row twice', operand: [4, 3], indices: tensor('int32', [2, 2], [2, 1]), axes: [0] }, 'clip'),
      of({ name: 'from nothing', operand: [0, 3], indices: tensor('int32', [0, 1], [2, 1]), axes: [0] }, 'fill'),
      {
        name: 'of a broadcast',
        operands: [new Broadcast(sample(dtype, [1, 3]), [4, 3], [0, 1]), tensor('int32', [1, 7], [2, 1])],
        params: { axes: [0], batchDims: 0, mode: 'fill' },
      },
      {
        name: 'literal index',
        operands: [sample(dtype, [4, 3]), new Broadcast(literal(2, 'int32'), [1], [])],
        params: { axes: [0], batchDims: 0, mode: 'clip' },
      },
      {
        name: 'stated',
        operands: [tensor(dtype, [1, 0, 1]), tensor('int32', [0, -1, 5, 2], [4, 1])],
        params: { axes: [0], batchDims: 0, mode: 'clip' },
        expected: [tensor(dtype, [1, 1, 1, 1])],
      },
    ] as Case<'gather'>[]
    if (isFloat(dtype)) {
      // Elements that are not read must not affect the result, not even as NaN times 0.
      cases.push({
        name: 'NaN, filled',
        operands: [tensor(dtype, [NaN, Infinity, 1]), tensor('int32', [0, 1, -1, 3], [4, 1])],
        params: { axes: [0], batchDims: 0, mode: 'fill' },
        expected: [tensor(dtype, [NaN, Infinity, 0, 0])],
      })
    }
    return cases
  },
}

function scatterCases<P extends 'scatter' | 'scatterAdd'>(dtype: DType): Case<P>[] {
  const of = (place: Indexed, mode: IndexMode): Case<P> =>
    ({
      name: `${place.name}, ${mode}`,
      operands: [sample(dtype, place.operand, 1), place.indices, sample(dtype, windowShape(place), 2)],
      params: paramsOf(place, mode),
    }) as Case<P>
  return [
    ...places.flatMap(p => [of(p, 'drop'), of(p, 'clip')]),
    ...outside.flatMap(p => [of(p, 'drop'), of(p, 'fill')]),
  ]
}

export const scatter: PrimitiveCases<'scatter'> = {
  dtypes: everyDType,
  tolerance: 'bits',
  // No case writes one element twice: which update wins is undefined.
  cases: dtype => [
    ...scatterCases<'scatter'>(dtype),
    ...scatterCases<'scatter'>(dtype).map((c): Case<'scatter'> => ({
      ...c,
      name: `${c.name}, unique indices`,
      params: { ...c.params, uniqueIndices: true },
    })),
    {
      name: 'rows of heads, unique indices, clipped',
      operands: [
        sample(dtype, [2, 3, 4, 2]),
        tensor('int32', [0, 0, 1, 0, 2, 9, 1, 1, -7], [3, 3]),
        sample(dtype, [3, 2], 1),
      ],
      params: { axes: [0, 1, 2], batchDims: 0, mode: 'clip', uniqueIndices: true },
    },
    {
      name: 'broadcast updates',
      operands: [sample(dtype, [4, 3]), tensor('int32', [3, 1], [2, 1]), new Broadcast(literal(1, dtype), [2, 3], [])],
      params: { axes: [0], batchDims: 0, mode: 'drop' },
    },
    {
      name: 'into a broadcast',
      operands: [new Broadcast(literal(0, dtype), [4, 3], []), tensor('int32', [3, 1], [2, 1]), sample(dtype, [2, 3])],
      params: { axes: [0], batchDims: 0, mode: 'drop' },
    },
    {
      name: 'clipped',
      operands: [sample(dtype, [4]), tensor('int32', [9, -9], [2, 1]), sample(dtype, [2], 1)],
      params: { axes: [0], batchDims: 0, mode: 'clip' },
    },
  ],
}

export const scatterAdd: PrimitiveCases<'scatterAdd'> = {
  dtypes: everyDType,
  // A thousand additions one after the other, each rounded to float32.
  tolerance: { ulps: 128, absolute: 1e-5 },
  cases: dtype => {
    const rows = { axes: [0], batchDims: 0, mode: 'drop' } as const
    const ones = (n: number): HostTensor =>
      tensor(
        dtype,
        Array.from({ length: n }, () => 1),
      )
    const cases: Case<'scatterAdd'>[] = [
      ...scatterCases<'scatterAdd'>(dtype),
      {
        name: 'duplicates',
        operands: [sample(dtype, [4, 3], 1), tensor('int32', [2, 0, 2, 2, 0], [5, 1]), sample(dtype, [5, 3], 2)],
        params: rows,
      },
      {
        name: 'duplicates after clipping',
        operands: [sample(dtype, [4, 3], 1), tensor('int32', [9, 3, -5, 0], [4, 1]), sample(dtype, [4, 3], 2)],
        params: { ...rows, mode: 'clip' },
      },
      {
        name: 'duplicates in a batch',
        operands: [sample(dtype, [2, 4], 1), tensor('int32', [3, 3, 1, 1], [2, 2, 1]), sample(dtype, [2, 2], 2)],
        params: { ...rows, axes: [1], batchDims: 1 },
      },
      {
        name: 'many duplicates',
        operands: [
          sample(dtype, [3, 2], 1),
          tensor(
            'int32',
            Array.from({ length: 200 }, (_, i) => (i * 7) % 3),
            [200, 1],
          ),
          sample(dtype, [200, 2], 2),
        ],
        params: rows,
      },
      {
        name: 'a thousand rows',
        operands: [
          zeros(dtype, [300, 8]),
          tensor(
            'int32',
            Array.from({ length: 1000 }, (_, i) => (i * 31) % 307),
            [1000, 1],
          ),
          sample(dtype, [1000, 8], 2),
        ],
        params: rows,
      },
      // float16 and bfloat16 round once, after the last addition.
      {
        name: 'counts',
        operands: [
          zeros(dtype, [2]),
          tensor(
            'int32',
            Array.from({ length: 600 }, () => 1),
            [600, 1],
          ),
          ones(600),
        ],
        params: rows,
        expected: [tensor(dtype, [0, 600])],
      },
      {
        name: 'broadcast updates',
        operands: [
          sample(dtype, [4, 3]),
          tensor('int32', [3, 3], [2, 1]),
          new Broadcast(literal(1, dtype), [2, 3], []),
        ],
        params: rows,
      },
      {
        name: 'into a broadcast',
        operands: [
          new Broadcast(literal(0, dtype), [4, 3], []),
          tensor('int32', [3, 3], [2, 1]),
          sample(dtype, [2, 3]),
        ],
        params: rows,
      },
    ]
    if (isFloat(dtype))
      cases.push({
        name: 'NaN, dropped',
        operands: [ones(3), tensor('int32', [0, 7, -1], [3, 1]), tensor(dtype, [1, NaN, NaN])],
        params: rows,
        expected: [tensor(dtype, [2, 1, 1])],
      })
    if (dtype === 'int64')
      cases.push({
        name: 'beyond 2^53',
        operands: [tensor(dtype, [2n ** 53n]), tensor('int32', [0, 0], [2, 1]), ones(2)],
        params: rows,
        expected: [tensor(dtype, [2n ** 53n + 2n])],
      })
    if (dtype === 'int32')
      cases.push({
        name: 'wraps',
        operands: [tensor(dtype, [2147483647]), tensor('int32', [0], [1, 1]), ones(1)],
        params: rows,
        expected: [tensor(dtype, [-2147483648])],
      })
    return cases
  },
}

export const sort: PrimitiveCases<'sort'> = {
  dtypes: everyDType,
  tolerance: 'bits',
  cases: dtype => {
    const of = (shape: number[], axis: number): Case<'sort'> => ({
      name: `[${shape}] along ${axis}`,
      operands: [sample(dtype, shape)],
      params: { axis },
    })
    const keys = tensor(dtype, [1, 0, 1, 0, 0, 1, 1, 0], [2, 4])
    const positions = tensor('int32', [0, 1, 2, 3, 4, 5, 6, 7], [2, 4])
    const cases = [
      of([5], 0),
      of([2, 3], 0),
      of([2, 3], 1),
      of([2, 3, 4], 1),
      of([1], 0),
      of([0], 0),
      of([3, 0], 1),
      of([0, 3], 1),
      of([100], 0),
      {
        name: 'special values',
        operands: [tensor(dtype, specialValues(dtype))],
        params: { axis: 0 },
      },
      { name: 'ties keep their order', operands: [keys, positions], params: { axis: 1 } },
      { name: 'ties keep their order, first axis', operands: [keys, positions], params: { axis: 0 } },
      ...everyDType.map(other => ({
        name: `with a ${other}`,
        operands: [sample(dtype, [2, 6]), sample(other, [2, 6], 1), sample('int32', [2, 6], 2)],
        params: { axis: 1 },
      })),
      {
        name: 'broadcast keys',
        operands: [new Broadcast(literal(1, dtype), [3, 2], []), sample('int32', [3, 2])],
        params: { axis: 0 },
      },
    ] as Case<'sort'>[]
    if (isFloat(dtype)) {
      cases.push({
        name: 'NaN last',
        operands: [tensor(dtype, [NaN, 1, NaN, -Infinity, Infinity]), tensor('int32', [0, 1, 2, 3, 4])],
        params: { axis: 0 },
        expected: [tensor(dtype, [-Infinity, 1, Infinity, NaN, NaN]), tensor('int32', [3, 1, 4, 0, 2])],
      })
      cases.push({
        name: 'zeros are equal and keep their signs',
        operands: [tensor(dtype, [0, -0, 1, -0, 0]), tensor('int32', [0, 1, 2, 3, 4])],
        params: { axis: 0 },
        expected: [tensor(dtype, [0, -0, -0, 0, 1]), tensor('int32', [0, 1, 3, 4, 2])],
      })
      for (let n = 1; n <= 40; n++)
        for (const axis of [0, 1])
          cases.push({ name: `NaN, ${n} along ${axis}`, operands: [diagonal(dtype, n)], params: { axis } })
    }
    if (dtype === 'int64')
      cases.push({
        name: 'beyond 2^53',
        operands: [tensor(dtype, [2n ** 53n + 1n, 2n ** 53n])],
        params: { axis: 0 },
        expected: [tensor(dtype, [2n ** 53n, 2n ** 53n + 1n])],
      })
    return cases
  },
}

export const topK: PrimitiveCases<'topK'> = {
  dtypes: everyDType,
  tolerance: 'bits',
  cases: dtype => {
    const of = (shape: number[], k: number): Case<'topK'> => ({
      name: `${k} of [${shape}]`,
      operands: [sample(dtype, shape)],
      params: { k },
    })
    const cases = [
      of([5], 2),
      of([5], 5),
      of([5], 0),
      of([2, 4], 1),
      of([2, 4], 3),
      of([2, 3, 4], 2),
      of([1], 1),
      of([0], 0),
      of([0, 4], 2),
      of([300], 10),
      { name: 'ties: the first', operands: [tensor(dtype, [0, 1, 1, 0, 1, 0, 0, 1], [2, 4])], params: { k: 3 } },
      {
        name: 'special values',
        operands: [tensor(dtype, specialValues(dtype))],
        params: { k: specialValues(dtype).length },
      },
      { name: 'of a broadcast', operands: [new Broadcast(literal(1, dtype), [2, 3], [])], params: { k: 2 } },
    ] as Case<'topK'>[]
    if (floats.includes(dtype)) {
      cases.push({ name: 'NaN', operands: [tensor(dtype, [1, NaN, 3, NaN])], params: { k: 3 } })
      cases.push({
        name: 'zeros are equal and keep their signs',
        operands: [tensor(dtype, [-0, 0, -1, -0])],
        params: { k: 3 },
        expected: [tensor(dtype, [-0, 0, -0]), tensor('int32', [0, 1, 3])],
      })
      for (let n = 1; n <= 40; n++)
        cases.push({ name: `NaN of ${n}`, operands: [diagonal(dtype, n)], params: { k: Math.ceil(n / 2) } })
    }
    if (dtype === 'int64')
      cases.push({
        name: 'beyond 2^53',
        operands: [tensor(dtype, [2n ** 53n, 2n ** 53n + 1n])],
        params: { k: 1 },
        expected: [tensor(dtype, [2n ** 53n + 1n]), tensor('int32', [1])],
      })
    return cases
  },
}
