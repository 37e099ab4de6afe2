import { dtypes, extremeOf } from '../../../../src/base/dtypes.js'
import type { DType } from '../../../../src/base/dtypes.js'
import type { HostTensor } from '../../../../src/base/host-tensor.js'
import { literal } from '../../../../src/engine/program/value.js'
import { Broadcast, everyDType, isUnsigned, numeric, sample, specialValues, tensor, zeros } from '../case.js'
import type { Case, PrimitiveCases } from '../case.js'
import { exact } from '../compare.js'

/** A scalar that is not a literal. */
const scalar = (dtype: DType, value: number): HostTensor => tensor(dtype, [value], [])

/** The floats next to the limits of an integer type. */
function endsOf(dtype: DType): number[] {
  const ends = [Number(extremeOf(dtype, 'least')), Number(extremeOf(dtype, 'greatest'))]
  return ends.flatMap(end => [end, end * (1 - 2 ** -23), end * (1 + 2 ** -22), end - 0.5, end + 0.5, end - 1, end + 1])
}

export const convertElementType: PrimitiveCases<'convertElementType'> = {
  dtypes: everyDType,
  tolerance: exact,
  cases: from =>
    everyDType.flatMap(dtype => {
      const params = { dtype }
      const cases: Case<'convertElementType'>[] = [
        { name: `to ${dtype}`, operands: [sample(from, [2, 3])], params },
        { name: `to ${dtype}, size 0`, operands: [zeros(from, [0, 2])], params },
        { name: `to ${dtype}, scalar`, operands: [sample(from, [])], params },
        { name: `to ${dtype}, literal`, operands: [literal(1, from)], params },
        { name: `to ${dtype}, broadcast`, operands: [new Broadcast(sample(from, [1, 3]), [2, 3], [0, 1])], params },
      ]
      const [floating, integer] = [dtypes[from].kind === 'float', dtypes[dtype].kind === 'int']
      if (floating && integer) {
        const values = isUnsigned(dtype)
          ? [0, 0.25, 0.99, 2.5, 3.5, 100.7]
          : [0, -0, 0.5, -0.5, 2.5, -2.5, 2.99, -2.99, 100.7, -100.7]
        cases.push({
          name: `to ${dtype}, towards zero`,
          operands: [tensor(from, values)],
          params,
          expected: [tensor(dtype, values.map(Math.trunc))],
        })
        const [least, greatest] = [extremeOf(dtype, 'least'), extremeOf(dtype, 'greatest')]
        const high = from === 'float16' ? Infinity : 2 ** (8 * dtypes[dtype].bytes) // beyond every integer of the type
        cases.push({
          name: `to ${dtype}, out of range`,
          operands: [tensor(from, [NaN, Infinity, -Infinity, high, -high, NaN])],
          params,
          expected: [tensor(dtype, [0, greatest, least, greatest, least, 0])],
        })
        if (from === 'float32')
          cases.push({ name: `to ${dtype}, around its ends`, operands: [tensor(from, endsOf(dtype))], params })
      } else {
        cases.push({ name: `to ${dtype}, special values`, operands: [tensor(from, specialValues(from))], params })
      }
      if (from === 'float32') {
        cases.push({
          name: `to ${dtype}, rounding`,
          operands: [tensor(from, [1.00390625, 1.01171875, 1.00048828125, 1.00146484375, 100.01])],
          params,
        })
      }
      if (from === 'int64' && dtype === 'int32') {
        cases.push({
          name: 'to int32, the low bits',
          operands: [tensor(from, [2n ** 40n + 5n, -(2n ** 33n) - 1n, 2n ** 60n + 7n])],
          params,
          expected: [tensor(dtype, [5, -1, 7])],
        })
      }
      if (from === 'int64' && dtype === 'float32') {
        cases.push({
          name: 'to float32, rounded once',
          operands: [tensor(from, [2n ** 60n + 2n ** 36n + 1n, 2n ** 60n + 2n ** 36n, -(2n ** 60n) - 2n ** 36n - 1n])],
          params,
          expected: [tensor(dtype, [2 ** 60 + 2 ** 37, 2 ** 60, -(2 ** 60) - 2 ** 37])],
        })
      }
      if (from === 'int32' && dtype === 'uint8') {
        cases.push({
          name: 'to uint8, the low bits',
          operands: [tensor(from, [300, -1, 256])],
          params,
          expected: [tensor(dtype, [44, 255, 0])],
        })
      }
      if (dtype === 'bool' && floating) {
        cases.push({
          name: 'to bool, whatever is not 0',
          operands: [tensor(from, [0, -0, 0.25, -3, Infinity, NaN])],
          params,
          expected: [tensor(dtype, [0, 0, 1, 1, 1, 1])],
        })
      }
      return cases
    }),
}

export const bitcastConvertType: PrimitiveCases<'bitcastConvertType'> = {
  dtypes: everyDType,
  tolerance: 'bits',
  cases: from =>
    everyDType
      .filter(d => dtypes[d].bytes === dtypes[from].bytes)
      .flatMap(dtype => {
        const params = { dtype }
        // A bool is a byte of 0 or 1 and nothing else.
        const values = dtype === 'bool' ? tensor(from, [0, 1]) : tensor(from, specialValues(from))
        const cases: Case<'bitcastConvertType'>[] = [
          { name: `to ${dtype}`, operands: [values], params },
          { name: `to ${dtype}, scalar`, operands: [scalar(from, 1)], params },
          { name: `to ${dtype}, size 0`, operands: [zeros(from, [0, 2])], params },
        ]
        if (from === 'float32' && dtype === 'int32')
          cases.push({
            name: 'of 1',
            operands: [tensor(from, [1, -0])],
            params,
            expected: [tensor(dtype, [0x3f800000, -2147483648])],
          })
        return cases
      }),
}

export const broadcastInDim: PrimitiveCases<'broadcastInDim'> = {
  dtypes: everyDType,
  tolerance: 'bits',
  cases: dtype => {
    const to = (from: number[], shape: number[], dims: number[]): Case<'broadcastInDim'> => ({
      name: `[${from}] to [${shape}] by [${dims}]`,
      operands: [sample(dtype, from)],
      params: { shape, dims },
    })
    return [
      to([3], [2, 3], [1]),
      to([2], [2, 3], [0]),
      to([1, 3], [4, 3], [0, 1]),
      to([], [2, 2], []),
      to([2, 1], [4, 2, 3], [1, 2]),
      to([3], [2, 3, 4], [1]),
      to([1], [0], [0]),
      to([0], [2, 0], [1]),
      to([], [0], []),
      to([2, 3], [2, 3], [0, 1]),
      to([1], [1, 1], [1]),
      to([], [], []),
      { name: 'literal', operands: [literal(1, dtype)], params: { shape: [2, 2], dims: [] } },
      {
        name: 'twice',
        operands: [new Broadcast(sample(dtype, [3]), [2, 3], [1])],
        params: { shape: [2, 4, 3], dims: [0, 2] },
      },
    ]
  },
}

export const reshape: PrimitiveCases<'reshape'> = {
  dtypes: everyDType,
  tolerance: 'bits',
  cases: dtype => {
    const to = (from: number[], shape: number[]): Case<'reshape'> => ({
      name: `[${from}] to [${shape}]`,
      operands: [sample(dtype, from)],
      params: { shape },
    })
    return [
      to([2, 3], [6]),
      to([6], [3, 1, 2]),
      to([], [1, 1]),
      to([1], []),
      to([0, 3], [3, 0, 2]),
      to([0], [0]),
      to([2, 3], [2, 3]),
      to([2, 3, 4], [4, 6]),
      {
        name: 'of a broadcast',
        operands: [new Broadcast(sample(dtype, [2, 1]), [2, 3], [0, 1])],
        params: { shape: [3, 2] },
      },
      { name: 'literal', operands: [literal(1, dtype)], params: { shape: [1] } },
    ]
  },
}

export const transpose: PrimitiveCases<'transpose'> = {
  dtypes: everyDType,
  tolerance: 'bits',
  cases: dtype => {
    const by = (shape: number[], perm: number[]): Case<'transpose'> => ({
      name: `[${shape}] by [${perm}]`,
      operands: [sample(dtype, shape)],
      params: { perm },
    })
    return [
      by([2, 3], [1, 0]),
      by([2, 3, 4], [2, 0, 1]),
      by([2, 3, 4], [0, 2, 1]),
      by([], []),
      by([5], [0]),
      by([2, 0, 3], [2, 1, 0]),
      by([2, 3], [0, 1]),
      by([2, 1, 3, 2, 2], [4, 2, 0, 1, 3]),
      {
        name: 'of a broadcast',
        operands: [new Broadcast(sample(dtype, [2, 1]), [2, 3], [0, 1])],
        params: { perm: [1, 0] },
      },
    ]
  },
}

export const concatenate: PrimitiveCases<'concatenate'> = {
  dtypes: everyDType,
  tolerance: 'bits',
  cases: dtype => {
    const along = (axis: number, ...shapes: number[][]): Case<'concatenate'> => ({
      name: `${shapes.map(s => `[${s}]`).join(' ')} along ${axis}`,
      operands: shapes.map((s, i) => sample(dtype, s, i)),
      params: { axis },
    })
    return [
      along(0, [2], [3]),
      along(0, [2, 3], [1, 3]),
      along(1, [2, 3], [2, 1], [2, 2]),
      along(0, [0], [3]),
      along(1, [2, 0], [2, 2]),
      along(0, [0], [0]),
      along(0, [4]),
      along(2, [1, 2, 1], [1, 2, 1]),
      along(0, [0, 2], [3, 2], [0, 2]),
      {
        name: 'broadcast operands',
        operands: [new Broadcast(sample(dtype, [2, 1]), [2, 3], [0, 1]), new Broadcast(literal(1, dtype), [2, 2], [])],
        params: { axis: 1 },
      },
      {
        name: 'an operand that is broadcast to nothing',
        operands: [new Broadcast(sample(dtype, [2, 1]), [2, 0], [0, 1]), sample(dtype, [2, 3])],
        params: { axis: 1 },
      },
    ]
  },
}

export const pad: PrimitiveCases<'pad'> = {
  dtypes: everyDType,
  tolerance: 'bits',
  cases: dtype => {
    const by = (shape: number[], low: number[], high: number[], interior: number[]): Case<'pad'> => ({
      name: `[${shape}] by ${[low, high, interior].map(p => `[${p}]`).join(' ')}`,
      operands: [sample(dtype, shape), scalar(dtype, 1)],
      params: { low, high, interior },
    })
    return [
      by([3], [1], [2], [0]),
      by([2, 3], [0, 1], [1, 0], [0, 0]),
      by([5], [-1], [-2], [0]),
      by([5], [-2], [3], [0]),
      by([5], [2], [-3], [0]),
      by([3], [0], [0], [2]),
      by([3], [1], [1], [1]),
      by([4], [-1], [-1], [1]),
      by([3], [-2], [4], [3]),
      by([1], [0], [0], [5]),
      by([2, 3], [-1, 2], [1, -1], [1, 2]),
      by([0], [2], [1], [0]),
      by([0], [2], [1], [3]),
      by([2, 0], [1, 1], [0, 0], [1, 1]),
      by([3], [-3], [0], [0]),
      by([2], [-1], [-2], [1]),
      by([], [], [], []),
      by([3], [0], [0], [0]),
      by([2, 3, 2], [1, 0, -1], [0, 2, 1], [0, 1, 0]),
      {
        name: 'literal padding',
        operands: [sample(dtype, [3]), literal(0, dtype)],
        params: { low: [1], high: [0], interior: [1] },
      },
      {
        name: 'of a broadcast',
        operands: [new Broadcast(sample(dtype, [1]), [3], [0]), scalar(dtype, 1)],
        params: { low: [1], high: [1], interior: [0] },
      },
    ]
  },
}

export const slice: PrimitiveCases<'slice'> = {
  dtypes: everyDType,
  tolerance: 'bits',
  cases: dtype => {
    const of = (shape: number[], start: number[], limit: number[], strides: number[]): Case<'slice'> => ({
      name: `[${shape}] ${start}:${limit}:${strides}`,
      operands: [sample(dtype, shape)],
      params: { start, limit, strides },
    })
    return [
      of([5], [1], [4], [1]),
      of([5], [0], [5], [2]),
      of([5], [1], [5], [3]),
      of([5], [2], [2], [1]),
      of([5], [5], [5], [1]),
      of([4, 5], [1, 0], [4, 5], [2, 3]),
      of([2, 3], [0, 0], [2, 3], [1, 1]),
      of([], [], [], []),
      of([0, 3], [0, 1], [0, 2], [1, 1]),
      of([5], [4], [5], [9]),
      {
        name: 'of a broadcast',
        operands: [new Broadcast(sample(dtype, [1, 3]), [4, 3], [0, 1])],
        params: { start: [1, 1], limit: [3, 3], strides: [1, 1] },
      },
    ]
  },
}

export const rev: PrimitiveCases<'rev'> = {
  dtypes: everyDType,
  tolerance: 'bits',
  cases: dtype => {
    const of = (shape: number[], axes: number[]): Case<'rev'> => ({
      name: `[${shape}] along [${axes}]`,
      operands: [sample(dtype, shape)],
      params: { axes },
    })
    return [
      of([4], [0]),
      of([2, 3], [1]),
      of([2, 3], [0, 1]),
      of([2, 3, 2], [2, 0]),
      of([2, 3], []),
      of([], []),
      of([0, 2], [0]),
      of([1], [0]),
    ]
  },
}

export const iota: PrimitiveCases<'iota'> = {
  dtypes: everyDType.filter(d => d !== 'bool'),
  tolerance: 'bits',
  cases: dtype => {
    const of = (shape: number[], axis: number): Case<'iota'> => ({
      name: `[${shape}] along ${axis}`,
      operands: [],
      params: { dtype, shape, axis },
    })
    // Beyond 256 a bfloat16 rounds; beyond 2048 a float16 does.
    return [
      of([5], 0),
      of([2, 3], 0),
      of([2, 3], 1),
      of([2, 1, 4], 2),
      of([0], 0),
      of([2, 0], 0),
      of([1], 0),
      of([300], 0),
      ...(numeric.includes(dtype) ? [of([2100], 0)] : []),
    ]
  },
}

const starts = (...values: number[]): HostTensor[] => values.map(v => scalar('int32', v))

export const dynamicSlice: PrimitiveCases<'dynamicSlice'> = {
  dtypes: everyDType,
  tolerance: 'bits',
  cases: dtype => {
    const at = (shape: number[], start: number[], sizes: number[]): Case<'dynamicSlice'> => ({
      name: `[${sizes}] of [${shape}] at [${start}]`,
      operands: [sample(dtype, shape), ...starts(...start)],
      params: { sizes },
    })
    return [
      at([5], [1], [3]),
      at([5], [4], [3]),
      at([5], [-2], [3]),
      at([5], [100], [2]),
      at([5], [0], [5]),
      at([5], [2], [0]),
      at([4, 5], [1, 3], [2, 2]),
      at([4, 5], [-1, 9], [3, 1]),
      at([], [], []),
      at([0, 2], [1, 1], [0, 1]),
      at([5], [-2147483648], [1]),
      at([5], [2147483647], [2]),
      {
        name: 'literal starts',
        operands: [sample(dtype, [4, 5]), literal(9, 'int32'), literal(1, 'int32')],
        params: { sizes: [2, 2] },
      },
    ]
  },
}

export const dynamicUpdateSlice: PrimitiveCases<'dynamicUpdateSlice'> = {
  dtypes: everyDType,
  tolerance: 'bits',
  cases: dtype => {
    const at = (shape: number[], start: number[], sizes: number[]): Case<'dynamicUpdateSlice'> => ({
      name: `[${sizes}] into [${shape}] at [${start}]`,
      operands: [sample(dtype, shape), sample(dtype, sizes, 1), ...starts(...start)],
      params: {},
    })
    return [
      at([5], [1], [3]),
      at([5], [4], [3]),
      at([5], [-2], [3]),
      at([5], [100], [2]),
      at([5], [0], [5]),
      at([5], [2], [0]),
      at([4, 5], [1, 3], [2, 2]),
      at([4, 5], [-1, 9], [3, 1]),
      at([], [], []),
      at([0, 2], [1, 1], [0, 1]),
      at([3, 2, 4], [1, 0, 2], [1, 2, 2]),
      {
        name: 'literal starts, a broadcast update',
        operands: [
          sample(dtype, [4, 5]),
          new Broadcast(literal(1, dtype), [2, 2], []),
          literal(9, 'int32'),
          literal(1, 'int32'),
        ],
        params: {},
      },
      {
        name: 'into a broadcast',
        operands: [new Broadcast(literal(1, dtype), [4], []), sample(dtype, [2]), ...starts(1)],
        params: {},
      },
    ]
  },
}
