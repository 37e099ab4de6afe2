import { checkDType, dtypes, isFloat, isInteger } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import { check } from '../../base/errors.js'
import { sizeOf } from '../../base/host-tensor.js'
import { aval, formatAval, sameAval, sameShape } from './aval.js'
import type { Aval } from './aval.js'
import type { GatherParams, PrimitiveName, ReduceParams } from './primitives.js'
import type { PrimitiveParams, Program } from './program.js'

type ShapeRule<P extends PrimitiveName> = (inputs: readonly Aval[], params: PrimitiveParams[P]) => Aval[]

/** The types of a primitive's outputs; throws a ShapeError that names the primitive and its operands. */
export function shapeOf<P extends PrimitiveName>(
  primitive: P,
  inputs: readonly Aval[],
  params: PrimitiveParams[P],
): Aval[] {
  try {
    return shapeRules[primitive](inputs, params)
  } catch (error) {
    if (error instanceof Error) error.message = `${primitive}(${inputs.map(formatAval).join(', ')}): ${error.message}`
    throw error
  }
}

type Allowed = (dtype: DType) => boolean
const anything: Allowed = () => true
const numeric: Allowed = d => d !== 'bool'
const logical: Allowed = d => d === 'bool' || isInteger(d)

function unary(allowed: Allowed, result?: DType) {
  return ([x]: readonly Aval[]): Aval[] => {
    check(allowed(x.dtype), () => `not defined for ${x.dtype}; convert it first (np.astype)`)
    return [aval(result ?? x.dtype, x.shape)]
  }
}

function binary(allowed: Allowed, result?: DType) {
  return ([x, y]: readonly Aval[]): Aval[] => {
    check(sameAval(x, y), 'the operands must have one shape and one dtype')
    check(allowed(x.dtype), () => `not defined for ${x.dtype}; convert it first (np.astype)`)
    return [aval(result ?? x.dtype, x.shape)]
  }
}

const checkAxes = (axes: readonly number[], ndim: number): void => {
  check(
    axes.every(a => Number.isInteger(a) && a >= 0 && a < ndim),
    () => `axes [${axes}] are not all in 0..${ndim - 1}`,
  )
  check(new Set(axes).size === axes.length, () => `axes [${axes}] repeat`)
}

function reduce(allowed: Allowed) {
  return ([x]: readonly Aval[], { axes }: ReduceParams): Aval[] => {
    checkAxes(axes, x.shape.length)
    check(allowed(x.dtype), () => `not defined for ${x.dtype}`)
    return [
      aval(
        x.dtype,
        x.shape.filter((_, i) => !axes.includes(i)),
      ),
    ]
  }
}

const reduceIndex = ([x]: readonly Aval[], { axis }: { axis: number }): Aval[] => {
  checkAxes([axis], x.shape.length)
  check(x.shape[axis] > 0, 'the axis is empty')
  return [
    aval(
      'int32',
      x.shape.filter((_, i) => i !== axis),
    ),
  ]
}

function gathered(operand: Aval, indices: Aval, { axes, batchDims }: GatherParams): Aval {
  checkAxes(axes, operand.shape.length)
  check(
    axes.every(a => a >= batchDims),
    'a batch axis cannot be indexed',
  )
  check(isInteger(indices.dtype), () => `indices must be integers, not ${indices.dtype}`)
  check(
    indices.shape[indices.shape.length - 1] === axes.length,
    () => `the last axis of indices must have length ${axes.length}`,
  )
  check(sameShape(operand.shape.slice(0, batchDims), indices.shape.slice(0, batchDims)), 'batch axes differ')
  const kept = operand.shape.filter((_, i) => i >= batchDims && !axes.includes(i))
  return aval(operand.dtype, [...indices.shape.slice(0, -1), ...kept])
}

const scatterShape = ([operand, indices, updates]: readonly Aval[], params: GatherParams): Aval[] => {
  const expected = gathered(operand, indices, params)
  check(sameAval(updates, expected), () => `updates must be ${formatAval(expected)}`)
  return [operand]
}

const avalsOf = (program: Program): Aval[] => program.outputs.map(o => o.aval)

function checkInputs(program: Program, inputs: readonly Aval[]): void {
  check(
    program.inputs.length === inputs.length,
    () => `the program takes ${program.inputs.length} inputs, got ${inputs.length}`,
  )
  program.inputs.forEach((v, i) =>
    check(sameAval(v.aval, inputs[i]), () => `input ${i} must be ${formatAval(v.aval)}, got ${formatAval(inputs[i])}`),
  )
}

const shapeRules: { [P in PrimitiveName]: ShapeRule<P> } = {
  neg: unary(numeric),
  abs: unary(numeric),
  sign: unary(numeric),
  floor: unary(isFloat),
  ceil: unary(isFloat),
  round: unary(isFloat),
  exp: unary(isFloat),
  expm1: unary(isFloat),
  log: unary(isFloat),
  log1p: unary(isFloat),
  sqrt: unary(isFloat),
  rsqrt: unary(isFloat),
  sin: unary(isFloat),
  cos: unary(isFloat),
  tanh: unary(isFloat),
  logistic: unary(isFloat),
  erf: unary(isFloat),
  erfInv: unary(isFloat),
  not: unary(logical),
  isFinite: unary(isFloat, 'bool'),
  stopGradient: unary(anything),
  optimizationBarrier: unary(anything),
  convertElementType: ([x], { dtype }) => {
    checkDType(dtype)
    return [aval(dtype, x.shape)]
  },
  bitcastConvertType: ([x], { dtype }) => {
    checkDType(dtype)
    check(
      dtypes[x.dtype].bytes === dtypes[dtype].bytes,
      `cannot reinterpret ${x.dtype} as ${dtype}: their widths differ`,
    )
    return [aval(dtype, x.shape)]
  },
  add: binary(anything),
  sub: binary(numeric),
  mul: binary(anything),
  div: binary(numeric),
  rem: binary(numeric),
  pow: binary(isFloat),
  atan2: binary(isFloat),
  max: binary(anything),
  min: binary(anything),
  and: binary(logical),
  or: binary(logical),
  xor: binary(logical),
  shiftLeft: binary(isInteger),
  shiftRightLogical: binary(isInteger),
  shiftRightArithmetic: binary(isInteger),
  eq: binary(anything, 'bool'),
  ne: binary(anything, 'bool'),
  lt: binary(anything, 'bool'),
  le: binary(anything, 'bool'),
  gt: binary(anything, 'bool'),
  ge: binary(anything, 'bool'),
  select: ([condition, x, y]) => {
    check(condition.dtype === 'bool', 'the condition must be bool')
    check(
      sameAval(x, y) && sameShape(condition.shape, x.shape),
      'the operands must have one shape, the branches one dtype',
    )
    return [x]
  },
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
    check(numeric(dtype), 'positions have no bool; choose an integer or floating dtype')
    checkAxes([axis], shape.length)
    return [aval(dtype, shape)]
  },
  dynamicSlice: ([x, ...starts], { sizes }) => {
    check(
      starts.length === x.shape.length && starts.every(s => s.shape.length === 0 && s.dtype === 'int32'),
      'there must be an int32 scalar start for each axis',
    )
    check(
      sizes.length === x.shape.length && sizes.every((s, i) => s >= 0 && s <= x.shape[i]),
      () => `the window [${sizes}] does not fit`,
    )
    return [aval(x.dtype, sizes)]
  },
  dynamicUpdateSlice: ([x, update, ...starts]) => {
    check(
      starts.length === x.shape.length && starts.every(s => s.shape.length === 0 && s.dtype === 'int32'),
      'there must be an int32 scalar start for each axis',
    )
    check(
      update.dtype === x.dtype &&
        update.shape.length === x.shape.length &&
        update.shape.every((d, i) => d <= x.shape[i]),
      'the update does not fit',
    )
    return [x]
  },
  reduceSum: reduce(anything),
  reduceMax: reduce(anything),
  reduceMin: reduce(anything),
  reduceProd: reduce(anything),
  reduceAnd: reduce(d => d === 'bool'),
  reduceOr: reduce(d => d === 'bool'),
  argmax: reduceIndex,
  argmin: reduceIndex,
  cumsum: ([x], { axis }) => {
    checkAxes([axis], x.shape.length)
    check(numeric(x.dtype), 'not defined for bool; convert it first (np.astype)')
    return [x]
  },
  dotGeneral: ([x, y], { contract: [cx, cy], batch: [bx, by] }) => {
    checkAxes([...bx, ...cx], x.shape.length)
    checkAxes([...by, ...cy], y.shape.length)
    check(x.dtype === y.dtype, 'the operands must have one dtype')
    const agree = (a: readonly number[], b: readonly number[]): boolean =>
      a.length === b.length && a.every((d, i) => x.shape[d] === y.shape[b[i]])
    check(agree(cx, cy), () => `contracted axes [${cx}] and [${cy}] differ in size`)
    check(agree(bx, by), () => `batch axes [${bx}] and [${by}] differ in size`)
    const free = (a: Aval, used: readonly number[]): number[] => a.shape.filter((_, i) => !used.includes(i))
    return [aval(x.dtype, [...bx.map(d => x.shape[d]), ...free(x, [...bx, ...cx]), ...free(y, [...by, ...cy])])]
  },
  gather: ([operand, indices], params) => [gathered(operand, indices, params)],
  scatter: scatterShape,
  scatterAdd: scatterShape,
  sort: (inputs, { axis }) => {
    checkAxes([axis], inputs[0].shape.length)
    check(
      inputs.every(x => sameShape(x.shape, inputs[0].shape)),
      'the operands must have one shape',
    )
    return [...inputs]
  },
  topK: ([x], { k }) => {
    const n = x.shape[x.shape.length - 1]
    check(x.shape.length > 0 && k >= 0 && k <= n, () => `k=${k} does not fit the last axis`)
    const shape = [...x.shape.slice(0, -1), k]
    return [aval(x.dtype, shape), aval('int32', shape)]
  },
  threefry2x32: inputs => {
    check(
      inputs.length === 4 && inputs.every(x => sameAval(x, inputs[0]) && x.dtype === 'uint32'),
      'needs four uint32 operands of one shape',
    )
    return [inputs[0], inputs[0]]
  },
  call: (inputs, { program }) => {
    checkInputs(program, inputs)
    return avalsOf(program)
  },
  composite: (inputs, { program }) => {
    checkInputs(program, inputs)
    return avalsOf(program)
  },
  linearCall: (inputs, { program }) => {
    checkInputs(program, inputs)
    return avalsOf(program)
  },
  scan: (inputs, { body, numConsts, numCarry, length }) => {
    const xs = inputs.slice(numConsts + numCarry)
    check(
      xs.every(x => x.shape[0] === length),
      () => `every scanned operand must have ${length} rows`,
    )
    checkInputs(body, [...inputs.slice(0, numConsts + numCarry), ...xs.map(x => aval(x.dtype, x.shape.slice(1)))])
    const outputs = avalsOf(body)
    const carry = inputs.slice(numConsts, numConsts + numCarry)
    carry.forEach((c, i) =>
      check(
        sameAval(c, outputs[i]),
        () => `the carry ${i} enters as ${formatAval(c)} and leaves as ${formatAval(outputs[i])}`,
      ),
    )
    return [...carry, ...outputs.slice(numCarry).map(y => aval(y.dtype, [length, ...y.shape]))]
  },
  while: (inputs, { condition, body, numConditionConsts, numBodyConsts }) => {
    const carry = inputs.slice(numConditionConsts + numBodyConsts)
    checkInputs(condition, [...inputs.slice(0, numConditionConsts), ...carry])
    checkInputs(body, [...inputs.slice(numConditionConsts, numConditionConsts + numBodyConsts), ...carry])
    check(
      condition.outputs.length === 1 && sameAval(condition.outputs[0].aval, aval('bool', [])),
      'the condition must return one bool scalar',
    )
    carry.forEach((c, i) =>
      check(
        sameAval(c, body.outputs[i].aval),
        () => `the carry ${i} enters as ${formatAval(c)} and leaves as ${formatAval(body.outputs[i].aval)}`,
      ),
    )
    return carry
  },
  cond: ([index, ...operands], { branches }) => {
    check(index.shape.length === 0 && index.dtype === 'int32', 'the index must be an int32 scalar')
    for (const branch of branches) {
      checkInputs(branch, operands)
      check(
        branch.outputs.length === branches[0].outputs.length &&
          branch.outputs.every((o, i) => sameAval(o.aval, branches[0].outputs[i].aval)),
        'the branches return different types',
      )
    }
    return avalsOf(branches[0])
  },
}
