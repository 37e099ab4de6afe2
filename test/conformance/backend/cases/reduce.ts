import { isFloat } from '../../../../src/base/dtypes.js'
import type { DType } from '../../../../src/base/dtypes.js'
import { literal } from '../../../../src/engine/program/value.js'
import { Broadcast, diagonal, everyDType, isUnsigned, numeric, sample, specialValues, tensor, zeros } from '../case.js'
import type { Case, PrimitiveCases } from '../case.js'
import { exact } from '../compare.js'
import type { Tolerance } from '../compare.js'

type Reduction = 'reduceSum' | 'reduceMax' | 'reduceMin' | 'reduceProd' | 'reduceAnd' | 'reduceOr'

const reduce = (
  dtypes: readonly DType[],
  tolerance: Tolerance,
  more: (dtype: DType) => Case<Reduction>[] = () => [],
): PrimitiveCases<Reduction> => ({
  dtypes,
  tolerance,
  cases: dtype => {
    const of = (shape: number[], axes: number[]): Case<Reduction> => ({
      name: `[${shape}] along [${axes}]`,
      operands: [sample(dtype, shape)],
      params: { axes },
    })
    return [
      of([5], [0]),
      of([2, 3], [0]),
      of([2, 3], [1]),
      of([2, 3], [0, 1]),
      of([2, 3, 4], [2, 0]),
      of([2, 3, 4], [1]),
      of([2, 3], []),
      of([], []),
      of([1], [0]),
      of([0], [0]),
      of([0, 2], [0]),
      of([0, 2], [1]),
      of([2, 0, 3], [1]),
      of([2, 0], []),
      {
        name: 'special values',
        operands: [
          tensor(
            dtype,
            specialValues(dtype).filter(v => !Number.isNaN(v)),
          ),
        ],
        params: { axes: [0] },
      },
      { name: 'broadcast literal', operands: [new Broadcast(literal(1, dtype), [3, 2], [])], params: { axes: [0] } },
      {
        name: 'broadcast along both',
        operands: [new Broadcast(sample(dtype, [2, 1]), [2, 3], [0, 1])],
        params: { axes: [1] },
      },
      ...more(dtype),
    ]
  },
})

const stated =
  (only: DType, name: string, xs: (number | bigint)[], result: number | bigint) =>
  (dtype: DType): Case<Reduction>[] =>
    dtype === only
      ? [{ name, operands: [tensor(dtype, xs)], params: { axes: [0] }, expected: [tensor(dtype, [result], [])] }]
      : []

/** A NaN at every position of rows and columns of 1 to 40 elements; rows without one keep their result. */
const nanEverywhere = (dtype: DType): Case<Reduction>[] =>
  isFloat(dtype)
    ? Array.from({ length: 40 }, (_, i) => diagonal(dtype, i + 1)).flatMap(x =>
        [[0], [1], [0, 1]].map(axes => ({
          name: `NaN, [${x.shape}] along [${axes}]`,
          operands: [x],
          params: { axes },
        })),
      )
    : []

/** One NaN makes the whole result NaN. */
const nan = (dtype: DType): Case<Reduction>[] =>
  isFloat(dtype)
    ? [{ name: 'NaN', operands: [tensor(dtype, [1, 2, NaN, 3, NaN, Infinity], [3, 2])], params: { axes: [1] } }]
    : []

const all =
  (...lists: ((dtype: DType) => Case<Reduction>[])[]) =>
  (dtype: DType): Case<Reduction>[] =>
    lists.flatMap(list => list(dtype))

export const reduceSum = reduce(
  everyDType,
  { ulps: 4, absolute: 3e-5 },
  all(
    nan,
    dtype => [{ name: 'long', operands: [sample(dtype, [3, 1000])], params: { axes: [1] } }],
    stated('bool', 'is or', [0, 1, 1], 1),
    stated('uint8', 'wraps', [200, 100], 44),
    stated('int32', 'wraps', [2147483647, 1, 1], -2147483647),
    stated('uint32', 'wraps', [4294967295, 3], 2),
    stated('int64', 'is exact', [2n ** 53n, 1n, 2n ** 60n], 2n ** 60n + 2n ** 53n + 1n),
  ),
)
export const reduceProd = reduce(
  everyDType,
  { ulps: 8, absolute: 1e-5 },
  all(
    nan,
    stated('bool', 'is and', [1, 1, 0], 0),
    stated('int32', 'wraps', [65537, 65537, 65537], 196609),
    stated('uint32', 'wraps', [4294967295, 4294967295, 4294967295], 4294967295),
  ),
)
export const reduceMax = reduce(
  everyDType,
  exact,
  all(
    nan,
    nanEverywhere,
    stated('float32', 'infinities of both signs are no NaN', [Infinity, -Infinity, 1], Infinity),
    stated('bool', 'is or', [0, 1, 0], 1),
    stated('bool', 'of nothing', [], 0),
    stated('int64', 'next to each other', [2n ** 53n, 2n ** 53n + 1n], 2n ** 53n + 1n),
    stated('uint32', 'unsigned', [1, 4294967295], 4294967295),
    stated('int64', 'of nothing', [], -(2n ** 63n)),
  ),
)
export const reduceMin = reduce(
  everyDType,
  exact,
  all(
    nan,
    nanEverywhere,
    stated('float32', 'infinities of both signs are no NaN', [Infinity, -Infinity, 1], -Infinity),
    stated('bool', 'is and', [1, 1, 0], 0),
    stated('bool', 'of nothing', [], 1),
    stated('int64', 'next to each other', [2n ** 53n + 1n, 2n ** 53n], 2n ** 53n),
    stated('int64', 'of nothing', [], 2n ** 63n - 1n),
  ),
)
export const reduceAnd = reduce(['bool'], exact)
export const reduceOr = reduce(['bool'], exact)

function argBest(): PrimitiveCases<'argmax' | 'argmin'> {
  return {
    dtypes: everyDType,
    tolerance: exact,
    cases: dtype => {
      const of = (shape: number[], axis: number): Case<'argmax'> => ({
        name: `[${shape}] along ${axis}`,
        operands: [sample(dtype, shape)],
        params: { axis },
      })
      const cases = [
        of([5], 0),
        of([2, 3], 0),
        of([2, 3], 1),
        of([2, 3, 4], 1),
        of([1], 0),
        of([3, 1], 1),
        of([0, 2], 1),
        { name: 'ties: the first', operands: [tensor(dtype, [1, 0, 1, 0, 0, 0, 1, 1], [2, 4])], params: { axis: 1 } },
        {
          name: 'special values',
          operands: [
            tensor(
              dtype,
              specialValues(dtype).filter(v => !Number.isNaN(v)),
            ),
          ],
          params: { axis: 0 },
        },
        { name: 'of a broadcast', operands: [new Broadcast(literal(1, dtype), [3, 2], [])], params: { axis: 0 } },
      ]
      if (isFloat(dtype)) {
        cases.push({
          name: 'the first NaN',
          operands: [tensor(dtype, [1, NaN, 5, NaN, NaN, 1, 2, 3, Infinity, -Infinity, 4, NaN], [3, 4])],
          params: { axis: 1 },
        })
        for (let n = 1; n <= 40; n++)
          for (const axis of [0, 1])
            cases.push({ name: `NaN, ${n} along ${axis}`, operands: [diagonal(dtype, n)], params: { axis } })
        cases.push({ name: 'zeros are equal', operands: [tensor(dtype, [-0, 0, -0, 0])], params: { axis: 0 } })
      }
      if (dtype === 'int64')
        cases.push({
          name: 'beyond 2^53',
          operands: [tensor(dtype, [2n ** 53n, 2n ** 53n + 1n, 2n ** 53n - 1n])],
          params: { axis: 0 },
        })
      return cases
    },
  }
}

/** The position beyond 2^53 is stated, since doubles cannot tell the values apart. */
const withStatedPosition = (position: number): PrimitiveCases<'argmax' | 'argmin'> => {
  const { cases, ...rest } = argBest()
  return {
    ...rest,
    cases: dtype =>
      cases(dtype).map(c => (c.name === 'beyond 2^53' ? { ...c, expected: [tensor('int32', [position], [])] } : c)),
  }
}
export const argmax = withStatedPosition(1)
export const argmin = withStatedPosition(2)

export const cumsum: PrimitiveCases<'cumsum'> = {
  dtypes: numeric,
  tolerance: { ulps: 16, absolute: 1e-5 },
  cases: dtype =>
    [false, true]
      .flatMap(reverse => {
        const of = (shape: number[], axis: number): Case<'cumsum'> => ({
          name: `[${shape}] along ${axis}${reverse ? ', reverse' : ''}`,
          operands: [sample(dtype, shape)],
          params: { axis, reverse },
        })
        const cases = [
          of([5], 0),
          of([2, 3], 0),
          of([2, 3], 1),
          of([2, 3, 4], 1),
          of([0], 0),
          of([2, 0], 0),
          of([1, 3], 0),
          of([100], 0),
          {
            name: `broadcast literal${reverse ? ', reverse' : ''}`,
            operands: [new Broadcast(literal(1, dtype), [3, 2], [])],
            params: { axis: 0, reverse },
          },
        ]
        if (isFloat(dtype))
          cases.push({ name: 'NaN', operands: [tensor(dtype, [1, 2, NaN, 3])], params: { axis: 0, reverse } })
        return cases
      })
      .concat(
        dtype === 'int32'
          ? [
              {
                name: 'wraps',
                operands: [tensor(dtype, [2147483647, 1, 1])],
                params: { axis: 0, reverse: false },
                expected: [tensor(dtype, [2147483647, -2147483648, -2147483647])],
              },
            ]
          : [],
        dtype === 'int64'
          ? [
              {
                name: 'beyond 2^53',
                operands: [tensor(dtype, [2n ** 53n, 1n, 1n])],
                params: { axis: 0, reverse: false },
                expected: [tensor(dtype, [2n ** 53n, 2n ** 53n + 1n, 2n ** 53n + 2n])],
              },
            ]
          : [],
      ),
}

export const dotGeneral: PrimitiveCases<'dotGeneral'> = {
  dtypes: everyDType,
  tolerance: { ulps: 4, absolute: 3e-5, eitherZero: true },
  cases: dtype => {
    type Axes = readonly [number[], number[]]
    const of = (x: number[], y: number[], contract: Axes, batch: Axes = [[], []]): Case<'dotGeneral'> => ({
      name: `[${x}] [${y}] contract ${contract.map(a => `[${a}]`).join('')} batch ${batch.map(a => `[${a}]`).join('')}`,
      operands: [sample(dtype, x, 1), sample(dtype, y, 2)],
      params: { contract, batch },
    })
    const cases = [
      of([2, 3], [3, 4], [[1], [0]]),
      of([3, 2], [3, 4], [[0], [0]]),
      of([2, 3], [4, 3], [[1], [1]]),
      of([3, 2], [4, 3], [[0], [1]]),
      of([3], [3], [[0], [0]]),
      of([2, 3], [3], [[1], [0]]),
      of([3], [3, 2], [[0], [0]]),
      of([], [], [[], []]),
      of([2], [3], [[], []]),
      of([], [2, 3], [[], []]),
      of([2, 3], [], [[], []]),
      of([2, 3, 4], [2, 4, 5], [[2], [1]], [[0], [0]]),
      of([2, 3, 4], [2, 5, 4], [[2], [2]], [[0], [0]]),
      of([2, 3, 4], [4, 2, 5], [[2], [0]], [[0], [1]]),
      of(
        [2, 3, 4, 5],
        [2, 3, 5, 6],
        [[3], [2]],
        [
          [0, 1],
          [0, 1],
        ],
      ),
      of([4, 2, 3], [3, 5], [[2], [0]]),
      of(
        [2, 3, 4],
        [4, 5, 3],
        [
          [1, 2],
          [2, 0],
        ],
      ),
      of(
        [2, 3, 4],
        [4, 3, 5],
        [
          [2, 1],
          [0, 1],
        ],
      ),
      of(
        [2, 3, 2],
        [2, 3, 2],
        [
          [0, 1, 2],
          [0, 1, 2],
        ],
      ),
      of([3, 2, 4], [5, 3, 2], [[0], [1]], [[1], [2]]),
      of(
        [2, 3, 2, 4],
        [2, 4, 2, 5],
        [[3], [1]],
        [
          [2, 0],
          [0, 2],
        ],
      ),
      of(
        [2, 3],
        [2, 3],
        [[], []],
        [
          [0, 1],
          [0, 1],
        ],
      ),
      of([4, 2], [4, 2], [[0], [0]], [[1], [1]]),
      of([2, 3, 4, 5], [5, 6], [[3], [0]]),
      of([6, 5], [2, 5, 3], [[1], [1]]),
      of([2, 3, 4], [2, 5], [[], []], [[0], [0]]),
      of([2, 0], [0, 3], [[1], [0]]),
      of([0, 3], [3, 2], [[1], [0]]),
      of([2, 3], [3, 0], [[1], [0]]),
      of([0, 2, 3], [0, 3, 4], [[2], [1]], [[0], [0]]),
      of([0], [0], [[0], [0]]),
      of([1, 1], [1, 1], [[1], [0]]),
      {
        name: 'broadcast operands',
        operands: [new Broadcast(sample(dtype, [2, 1]), [2, 3], [0, 1]), new Broadcast(literal(1, dtype), [3, 4], [])],
        params: { contract: [[1], [0]], batch: [[], []] },
      },
      {
        name: 'broadcast batch',
        operands: [new Broadcast(sample(dtype, [2, 3]), [4, 2, 3], [1, 2]), sample(dtype, [4, 3, 2])],
        params: { contract: [[2], [1]], batch: [[0], [0]] },
      },
    ] as Case<'dotGeneral'>[]
    const row = { contract: [[0], [0]], batch: [[], []] } as const
    const wrapping = isUnsigned(dtype) ? 4294967295 : 2147483647
    if (dtype === 'int32' || dtype === 'uint32')
      cases.push({
        name: 'wraps',
        operands: [tensor(dtype, [wrapping, wrapping]), tensor(dtype, [wrapping, 3])],
        params: row,
        expected: [tensor(dtype, [dtype === 'int32' ? 2147483646 : 4294967294], [])],
      })
    if (dtype === 'bool')
      cases.push({
        name: 'is or of ands',
        operands: [tensor(dtype, [1, 1, 0, 1, 0, 0], [3, 2]), tensor(dtype, [1, 0, 1, 1], [2, 2])],
        params: { contract: [[1], [0]], batch: [[], []] },
        expected: [tensor(dtype, [1, 1, 1, 1, 0, 0], [3, 2])],
      })
    if (dtype === 'uint8')
      cases.push({
        name: 'wraps',
        operands: [tensor(dtype, [200, 100]), tensor(dtype, [2, 1])],
        params: row,
        expected: [tensor(dtype, [244], [])],
      })
    if (dtype === 'int64')
      cases.push({
        name: 'beyond 2^53',
        operands: [tensor(dtype, [2n ** 53n, 1n]), tensor(dtype, [1n, 1n])],
        params: row,
        expected: [tensor(dtype, [2n ** 53n + 1n], [])],
      })
    if (isFloat(dtype)) {
      cases.push({
        name: 'special values',
        operands: [tensor(dtype, [1, Infinity, NaN, 0], [4, 1]), tensor(dtype, [2, 0, -1], [1, 3])],
        params: { contract: [[1], [0]], batch: [[], []] },
      })
      cases.push({
        name: 'of nothing is 0',
        operands: [zeros(dtype, [2, 0]), zeros(dtype, [0, 2])],
        params: { contract: [[1], [0]], batch: [[], []] },
        expected: [zeros(dtype, [2, 2])],
      })
    }
    return cases
  },
}
