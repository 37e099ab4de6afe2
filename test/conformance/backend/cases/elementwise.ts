import { isFloat } from '../../../../src/base/dtypes.js'
import type { DType } from '../../../../src/base/dtypes.js'
import type { BinaryPrimitive, ComparePrimitive, UnaryPrimitive } from '../../../../src/engine/program/primitives.js'
import { literal } from '../../../../src/engine/program/value.js'
import {
  Broadcast,
  diagonal,
  everyDType,
  floats,
  integers,
  isUnsigned,
  numeric,
  pairs,
  sample,
  specialValues,
  tensor,
} from '../case.js'
import type { Case, PrimitiveCases } from '../case.js'
import { eitherZero, exact } from '../compare.js'
import type { Tolerance } from '../compare.js'

const params = {}
const shapes = [[], [0], [2, 0, 3], [1], [2, 3], [1, 3, 1, 2], [70]]
const constant = (dtype: DType, value = 1.5): ReturnType<typeof literal> => literal(isFloat(dtype) ? value : 1, dtype)

type Unary = PrimitiveCases<UnaryPrimitive>
type Binary = PrimitiveCases<BinaryPrimitive | ComparePrimitive>

const unary = (
  dtypes: readonly DType[],
  tolerance: Tolerance,
  more: (dtype: DType) => Case<UnaryPrimitive>[] = () => [],
): Unary => ({
  dtypes,
  tolerance,
  cases: dtype => [
    ...shapes.map(shape => ({ name: `shape [${shape}]`, operands: [sample(dtype, shape)], params })),
    { name: 'special values', operands: [tensor(dtype, specialValues(dtype))], params },
    { name: 'literal', operands: [constant(dtype)], params },
    { name: 'broadcast literal', operands: [new Broadcast(constant(dtype), [2, 3], [])], params },
    ...more(dtype),
  ],
})

/** A case with its stated results, for one dtype. */
const stated =
  (only: DType, name: string, xs: (number | bigint)[], results: (number | bigint)[]) =>
  (dtype: DType): Case<UnaryPrimitive>[] =>
    dtype === only ? [{ name, operands: [tensor(dtype, xs)], params, expected: [tensor(dtype, results)] }] : []

const binary = (
  dtypes: readonly DType[],
  tolerance: Tolerance,
  more: (dtype: DType) => Case<BinaryPrimitive | ComparePrimitive>[] = () => [],
): Binary => ({
  dtypes,
  tolerance,
  cases: dtype => {
    const [row, column] = [sample(dtype, [1, 3], 1), sample(dtype, [2, 1], 2)]
    return [
      ...shapes.map(shape => ({
        name: `shape [${shape}]`,
        operands: [sample(dtype, shape, 1), sample(dtype, shape, 2)],
        params,
      })),
      { name: 'every pair of special values', operands: pairs(dtype, specialValues(dtype)), params },
      {
        name: 'row and column',
        operands: [new Broadcast(row, [2, 3], [0, 1]), new Broadcast(column, [2, 3], [0, 1])],
        params,
      },
      {
        name: 'vector over matrix',
        operands: [sample(dtype, [2, 3], 1), new Broadcast(sample(dtype, [3], 2), [2, 3], [1])],
        params,
      },
      {
        name: 'broadcast literal on the left',
        operands: [new Broadcast(constant(dtype), [2, 3], []), sample(dtype, [2, 3], 1)],
        params,
      },
      {
        name: 'broadcast literal on the right',
        operands: [sample(dtype, [2, 3], 1), new Broadcast(constant(dtype), [2, 3], [])],
        params,
      },
      { name: 'both literals', operands: [constant(dtype), constant(dtype, -0.5)], params },
      {
        name: 'broadcast to nothing',
        operands: [sample(dtype, [0, 3]), new Broadcast(sample(dtype, [1, 3]), [0, 3], [0, 1])],
        params,
      },
      ...more(dtype),
    ]
  },
})

type Pair = [x: number | bigint, y: number | bigint, result: number | bigint]

const statedPairs =
  (only: DType, name: string, rows: readonly Pair[], result = only) =>
  (dtype: DType): Case<BinaryPrimitive | ComparePrimitive>[] =>
    dtype === only
      ? [
          {
            name,
            params,
            operands: [
              tensor(
                dtype,
                rows.map(r => r[0]),
              ),
              tensor(
                dtype,
                rows.map(r => r[1]),
              ),
            ],
            expected: [
              tensor(
                result,
                rows.map(r => r[2]),
              ),
            ],
          },
        ]
      : []

const all =
  <T>(...lists: ((dtype: DType) => T[])[]) =>
  (dtype: DType): T[] =>
    lists.flatMap(list => list(dtype))

/** Shift counts below 0, or of at least the number of bits, shift out all bits. */
const shift = (more: (dtype: DType) => Case<BinaryPrimitive | ComparePrimitive>[]): Binary =>
  binary(integers, exact, dtype => {
    const counts = [0, 1, 5, 31, 32, 33, 63, 64, 100, ...(isUnsigned(dtype) ? [4294967295] : [-1])]
    return [{ name: 'every count', operands: pairs(dtype, specialValues(dtype), counts), params }, ...more(dtype)]
  })

/** A NaN at every position of vectors of 1 to 40 elements, on either side, against a vector and against a scalar. */
function nanEverywhere(dtype: DType): Case<BinaryPrimitive | ComparePrimitive>[] {
  if (!isFloat(dtype)) return []
  return Array.from({ length: 40 }, (_, i) => i + 1).flatMap(n => {
    const nan = diagonal(dtype, n)
    const others = [sample(dtype, [n + 1, n]), new Broadcast(constant(dtype), [n + 1, n], [])]
    return others.flatMap((other, k) => [
      { name: `NaN on the left, ${n}, ${k}`, operands: [nan, other], params },
      { name: `NaN on the right, ${n}, ${k}`, operands: [other, nan], params },
    ])
  })
}

const int64Extremes = [2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n)]
const compare: Binary = binary(everyDType, exact, dtype =>
  dtype === 'int64' ? [{ name: 'beyond 2^53', operands: pairs(dtype, int64Extremes), params }] : [],
)

const minInt64 = -(2n ** 63n)

export const elementwiseCases: { readonly [P in UnaryPrimitive]: PrimitiveCases<P> } & {
  readonly [P in BinaryPrimitive | ComparePrimitive]: PrimitiveCases<P>
} = {
  neg: unary(numeric, exact, stated('uint32', 'wraps', [1, 4294967295], [4294967295, 1])),
  abs: unary(numeric, exact, stated('int64', 'extremes', [minInt64, -5n], [minInt64, 5n])),
  sign: unary(
    numeric,
    exact,
    all(
      stated('float32', 'NaN and -0 stay', [NaN, -Infinity, -3, -0], [NaN, -1, -1, -0]),
      stated('float32', 'of subnormal numbers', [1e-45, -1e-45], [1, -1]),
    ),
  ),
  floor: unary(floats, exact),
  ceil: unary(floats, exact),
  round: unary(
    floats,
    exact,
    stated('float32', 'halves go to the even neighbour', [0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997], [0, 2, 2, -0, -2, 0]),
  ),
  exp: unary(floats, { ulps: 4, absolute: 1e-37 }),
  expm1: unary(floats, { ulps: 8, absolute: 1e-37 }, dtype => [
    { name: 'near 0', operands: [tensor(dtype, [1e-3, -1e-3, 1e-2, 0.3, -0.3, 0.51, -0.51])], params },
  ]),
  log: unary(floats, { ulps: 4, absolute: 1e-7 }),
  log1p: unary(floats, { ulps: 8, absolute: 1e-37 }, dtype => [
    { name: 'near 0', operands: [tensor(dtype, [1e-3, -1e-3, 1e-2, 0.3, -0.3, -1, -2])], params },
  ]),
  sqrt: unary(floats, { ulps: 1 }),
  rsqrt: unary(floats, { ulps: 2 }),
  sin: unary(floats, { ulps: 4, absolute: 2e-7 }),
  cos: unary(floats, { ulps: 4, absolute: 2e-7 }),
  tanh: unary(floats, { ulps: 8, absolute: 2e-7 }),
  logistic: unary(floats, { ulps: 8, absolute: 2e-7 }),
  erf: unary(floats, { ulps: 8, absolute: 2e-7 }),
  erfInv: unary(floats, { ulps: 16, absolute: 5e-7 }, dtype => [
    { name: 'inside', operands: [tensor(dtype, [-1, -0.99, -0.7, -0.1, 0.001, 0.3, 0.9, 0.995, 1, 1.01])], params },
  ]),
  not: unary(['bool', ...integers], exact),
  isFinite: unary(floats, exact),
  stopGradient: unary(everyDType, 'bits'),
  optimizationBarrier: unary(everyDType, 'bits'),

  add: binary(
    everyDType,
    { ulps: 0 },
    all(
      statedPairs('bool', 'is or', [
        [0, 0, 0],
        [1, 0, 1],
        [1, 1, 1],
      ]),
      statedPairs('int8', 'wraps', [[127, 1, -128]]),
      statedPairs('uint16', 'wraps', [[65535, 2, 1]]),
      statedPairs('uint32', 'wraps', [[4294967295, 2, 1]]),
      statedPairs('int64', 'is 64 bits wide', [
        [2n ** 53n, 1n, 2n ** 53n + 1n],
        [2n ** 63n - 1n, 1n, minInt64],
      ]),
    ),
  ),
  sub: binary(numeric, { ulps: 0 }, statedPairs('uint32', 'wraps', [[0, 1, 4294967295]])),
  mul: binary(
    everyDType,
    { ulps: 0 },
    all(
      statedPairs('bool', 'is and', [
        [0, 0, 0],
        [1, 0, 0],
        [1, 1, 1],
      ]),
      statedPairs('uint8', 'wraps', [[200, 2, 144]]),
      statedPairs('int32', 'wraps', [
        [65537, 65537, 131073],
        [2147483647, 2147483647, 1],
      ]),
      statedPairs('uint32', 'wraps', [
        [65537, 65537, 131073],
        [4294967295, 4294967295, 1],
      ]),
      statedPairs('int64', 'wraps', [[2n ** 62n + 1n, 2n, minInt64 + 2n]]),
    ),
  ),
  div: binary(
    numeric,
    { ulps: 1 },
    all(
      statedPairs('int32', 'towards zero; by zero', [
        [7, 2, 3],
        [-7, 2, -3],
        [7, -2, -3],
        [5, 0, -1],
        [-2147483648, -1, -2147483648],
      ]),
      statedPairs('uint32', 'by zero', [
        [7, 2, 3],
        [5, 0, 4294967295],
      ]),
      statedPairs('int8', 'by zero and -1', [
        [5, 0, -1],
        [0, 0, -1],
        [-128, -1, -128],
        [-128, 1, -128],
      ]),
      statedPairs('uint8', 'by zero', [
        [5, 0, 255],
        [255, 2, 127],
      ]),
      statedPairs('uint16', 'by zero', [[5, 0, 65535]]),
      statedPairs('int64', 'by zero and -1', [
        [5n, 0n, -1n],
        [minInt64, -1n, minInt64],
        [2n ** 53n + 1n, 1n, 2n ** 53n + 1n],
      ]),
    ),
  ),
  rem: binary(
    numeric,
    { ulps: 0 },
    all(
      statedPairs('float32', 'the sign of the dividend', [
        [5.5, 3, 2.5],
        [-5.5, 3, -2.5],
        [5.5, -3, 2.5],
        [5, Infinity, 5],
        [5, 0, NaN],
        [-6, 3, -0],
        [-0, 3, -0],
        [Infinity, 2, NaN],
      ]),
      statedPairs('int32', 'the sign of the dividend; by zero', [
        [7, 3, 1],
        [-7, 3, -1],
        [7, -3, 1],
        [5, 0, 5],
        [-2147483648, -1, 0],
      ]),
      statedPairs('int8', 'by zero and -1', [
        [5, 0, 5],
        [-128, -1, 0],
      ]),
      statedPairs('uint8', 'by zero', [[5, 0, 5]]),
      statedPairs('int64', 'by zero and -1', [
        [5n, 0n, 5n],
        [minInt64, -1n, 0n],
        [-(2n ** 53n) - 1n, 2n ** 53n, -1n],
      ]),
    ),
  ),
  pow: binary(
    floats,
    { ulps: 4, absolute: 1e-37 },
    statedPairs('float32', 'corners', [
      [1, NaN, 1],
      [NaN, 0, 1],
      [0, -1, Infinity],
      [-8, 3, -512],
      [-8, 0.5, NaN],
      [-1, Infinity, 1],
      [2, -Infinity, 0],
      [-0, 3, -0],
      [-0, -3, -Infinity],
      [-Infinity, 3, -Infinity],
      [Infinity, 0, 1],
    ]),
  ),
  max: binary(
    everyDType,
    eitherZero,
    all(
      statedPairs('float32', 'NaN wins', [
        [NaN, 1, NaN],
        [1, NaN, NaN],
        [-Infinity, NaN, NaN],
      ]),
      statedPairs('bool', 'is or', [
        [0, 0, 0],
        [1, 0, 1],
        [1, 1, 1],
      ]),
      nanEverywhere,
    ),
  ),
  min: binary(
    everyDType,
    eitherZero,
    all(
      statedPairs('float32', 'NaN wins', [
        [NaN, 1, NaN],
        [1, NaN, NaN],
        [Infinity, NaN, NaN],
      ]),
      statedPairs('bool', 'is and', [
        [0, 0, 0],
        [1, 0, 0],
        [1, 1, 1],
      ]),
      nanEverywhere,
    ),
  ),
  atan2: binary(floats, { ulps: 4, absolute: 5e-7 }),
  and: binary(['bool', ...integers], exact),
  or: binary(['bool', ...integers], exact),
  xor: binary(['bool', ...integers], exact),
  shiftLeft: shift(
    all(
      statedPairs('int32', 'past the width', [
        [1, 31, -2147483648],
        [1, 32, 0],
        [1, -1, 0],
      ]),
      statedPairs('int8', 'past the width', [
        [1, 7, -128],
        [1, 8, 0],
        [1, 32, 0],
      ]),
      statedPairs('uint8', 'past the width', [
        [1, 7, 128],
        [1, 8, 0],
      ]),
      statedPairs('int64', 'past 32', [
        [1n, 33n, 2n ** 33n],
        [1n, 64n, 0n],
      ]),
    ),
  ),
  shiftRightLogical: shift(
    all(
      statedPairs('int32', 'zeros come in', [
        [-1, 1, 2147483647],
        [-1, 32, 0],
      ]),
      statedPairs('int8', 'zeros come in', [
        [-128, 1, 64],
        [-128, 7, 1],
        [-128, 8, 0],
      ]),
      statedPairs('int64', 'zeros come in', [[-1n, 1n, 2n ** 63n - 1n]]),
    ),
  ),
  shiftRightArithmetic: shift(
    all(
      statedPairs('int32', 'the sign comes in', [
        [-8, 1, -4],
        [-8, 40, -1],
        [8, 40, 0],
      ]),
      statedPairs('int8', 'the sign comes in', [
        [-128, 1, -64],
        [-128, 100, -1],
      ]),
      statedPairs('uint8', 'the top bit comes in', [
        [255, 1, 255],
        [128, 1, 192],
        [127, 1, 63],
      ]),
      statedPairs('uint16', 'the top bit comes in', [
        [65535, 100, 65535],
        [32768, 1, 49152],
      ]),
      statedPairs('int64', 'the sign comes in', [
        [-(2n ** 60n), 3n, -(2n ** 57n)],
        [-8n, 70n, -1n],
      ]),
    ),
  ),
  eq: binary(
    everyDType,
    exact,
    all(
      compare.cases,
      statedPairs(
        'float32',
        'NaN',
        [
          [NaN, NaN, 0],
          [0, -0, 1],
        ],
        'bool',
      ),
      statedPairs('int64', 'next to each other', [[2n ** 53n, 2n ** 53n + 1n, 0]], 'bool'),
    ),
  ),
  ne: compare,
  lt: compare,
  le: compare,
  gt: compare,
  ge: compare,
}

export const selectCases: PrimitiveCases<'select'> = {
  dtypes: everyDType,
  // ONNX Runtime's Where loses the sign of a zero.
  tolerance: eitherZero,
  cases: dtype => {
    const special = specialValues(dtype)
    return [
      ...shapes.map(shape => ({
        name: `shape [${shape}]`,
        operands: [sample('bool', shape), sample(dtype, shape, 1), sample(dtype, shape, 2)],
        params,
      })),
      {
        name: 'special values',
        operands: [
          tensor(
            'bool',
            special.map((_, i) => i % 2),
          ),
          tensor(dtype, special),
          tensor(dtype, [...special].reverse()),
        ],
        params,
      },
      {
        name: 'broadcast condition',
        operands: [
          new Broadcast(sample('bool', [2, 1]), [2, 3], [0, 1]),
          sample(dtype, [2, 3], 1),
          sample(dtype, [2, 3], 2),
        ],
        params,
      },
      {
        name: 'scalar condition',
        operands: [
          new Broadcast(tensor('bool', [1], []), [2, 3], []),
          sample(dtype, [2, 3], 1),
          sample(dtype, [2, 3], 2),
        ],
        params,
      },
      {
        name: 'broadcast branches',
        operands: [
          sample('bool', [2, 3]),
          new Broadcast(constant(dtype), [2, 3], []),
          new Broadcast(sample(dtype, [3]), [2, 3], [1]),
        ],
        params,
      },
    ]
  },
}
