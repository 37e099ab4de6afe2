import { checkDType } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import { sizeOf } from '../../../base/host-tensor.js'
import { aval } from '../aval.js'
import type { Aval } from '../aval.js'
import { checkAxes, isNumeric } from './rule.js'
import type { ShapeRules } from './rule.js'

/** Throws a ShapeError unless a window of an array with `ndim` axes has one int32 scalar start per axis. */
const checkStarts = (starts: readonly Aval[], ndim: number): void =>
  check(
    starts.length === ndim && starts.every(s => s.shape.length === 0 && s.dtype === 'int32'),
    'there must be an int32 scalar start for each axis',
  )

/** The primitives that move elements: they change the shape or the order, and compute nothing. */
export const structureShapes = {
  broadcastInDim: ([x], { shape, dims }) => {
    checkAxes(dims, shape.length)
    check(dims.length === x.shape.length, 'dims must name an output axis for each operand axis')
    check(
      dims.every((d, i) => i === 0 || dims[i - 1] < d),
      'dims must increase',
    )
    check(
      dims.every((d, i) => x.shape[i] === 1 || x.shape[i] === shape[d]),
      () => `cannot broadcast to [${shape}] by dims [${dims}]`,
    )
    return [aval(x.dtype, shape)]
  },
  reshape: ([x], { shape }) => {
    check(sizeOf(shape) === sizeOf(x.shape), () => `cannot reshape ${sizeOf(x.shape)} elements to [${shape}]`)
    return [aval(x.dtype, shape)]
  },
  transpose: ([x], { perm }) => {
    checkAxes(perm, x.shape.length)
    check(perm.length === x.shape.length, 'perm must name every axis')
    return [
      aval(
        x.dtype,
        perm.map(p => x.shape[p]),
      ),
    ]
  },
  concatenate: (inputs, { axis }) => {
    const [first] = inputs
    checkAxes([axis], first.shape.length)
    for (const x of inputs) {
      check(
        x.dtype === first.dtype &&
          x.shape.length === first.shape.length &&
          x.shape.every((d, i) => i === axis || d === first.shape[i]),
        () => `operands differ outside axis ${axis}`,
      )
    }
    return [
      aval(
        first.dtype,
        first.shape.map((d, i) => (i === axis ? inputs.reduce((n, x) => n + x.shape[axis], 0) : d)),
      ),
    ]
  },
  pad: ([x, value], { low, high, interior }) => {
    check(value.shape.length === 0 && value.dtype === x.dtype, 'the padding value must be a scalar of the same dtype')
    const shape = x.shape.map((d, i) => low[i] + high[i] + d + Math.max(0, d - 1) * interior[i])
    check(
      shape.every(d => d >= 0),
      () => `the padded shape [${shape}] is negative`,
    )
    return [aval(x.dtype, shape)]
  },
  slice: ([x], { start, limit, strides }) => {
    check(
      start.length === x.shape.length && limit.length === x.shape.length && strides.length === x.shape.length,
      'start, limit and strides need one entry an axis',
    )
    check(
      x.shape.every((d, i) => 0 <= start[i] && start[i] <= limit[i] && limit[i] <= d && strides[i] >= 1),
      () => `start [${start}], limit [${limit}] and strides [${strides}] do not fit`,
    )
    return [
      aval(
        x.dtype,
        start.map((s, i) => Math.ceil((limit[i] - s) / strides[i])),
      ),
    ]
  },
  rev: ([x], { axes }) => {
    checkAxes(axes, x.shape.length)
    return [x]
  },
  iota: (_, { dtype, shape, axis }) => {
    checkDType(dtype)
    check(isNumeric(dtype), 'positions have no bool; choose an integer or floating dtype')
    checkAxes([axis], shape.length)
    return [aval(dtype, shape)]
  },
  dynamicSlice: ([x, ...starts], { sizes }) => {
    checkStarts(starts, x.shape.length)
    check(
      sizes.length === x.shape.length && sizes.every((s, i) => s >= 0 && s <= x.shape[i]),
      () => `the window [${sizes}] does not fit`,
    )
    return [aval(x.dtype, sizes)]
  },
  dynamicUpdateSlice: ([x, update, ...starts]) => {
    checkStarts(starts, x.shape.length)
    check(
      update.dtype === x.dtype &&
        update.shape.length === x.shape.length &&
        update.shape.every((d, i) => d <= x.shape[i]),
      'the update does not fit',
    )
    return [x]
  },
} satisfies ShapeRules
