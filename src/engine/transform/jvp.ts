import { isFloat } from '../../base/dtypes.js'
import { sizeOf } from '../../base/host-tensor.js'
import * as ops from '../program/ops.js'
import type { BinaryPrimitive, PrimitiveName, ReduceParams, UnaryPrimitive } from '../program/primitives.js'
import type { Atom, PrimitiveParams, Program, Var } from '../program/program.js'
import { Lit } from '../program/program.js'
import { bind } from '../program/trace.js'
import { Literal } from '../program/value.js'
import type { Value } from '../program/value.js'
import { compositeJvp } from './custom-vjp.js'
import * as programs from './jvp-programs.js'
import type { Duals, JvpRule, Tangent } from './rules.js'
import { jvp as shardMapJvp } from './shard-map.js'

/**
 * Applies a program to values and tangents: the forward-mode derivative (Jacobian-vector product). Equations none of
 * whose operands has a tangent are applied unchanged.
 */
export function jvpEval(program: Program, primals: readonly Value[], tangents: readonly Tangent[]): Duals {
  const env = new Map<Var, [Value, Tangent]>()
  const read = (a: Atom): [Value, Tangent] =>
    a instanceof Lit ? [new Literal(a.value, a.aval.dtype), null] : env.get(a)!
  program.inputs.forEach((v, i) => env.set(v, [primals[i], tangents[i]]))
  for (const eqn of program.equations) {
    const inputs = eqn.inputs.map(read)
    const values = inputs.map(([x]) => x)
    const dots = inputs.map(([, t]) => t)
    const [outputs, outDots] = dots.every(t => t === null)
      ? [bind(eqn.primitive, values, eqn.params), eqn.outputs.map(() => null)]
      : applyRule(eqn.primitive, values, dots, eqn.params)
    eqn.outputs.forEach((v, i) => env.set(v, [outputs[i], outDots[i]]))
  }
  const outputs = program.outputs.map(read)
  return [outputs.map(([x]) => x), outputs.map(([, t]) => t)]
}

const applyRule = <P extends PrimitiveName>(
  primitive: P,
  primals: readonly Value[],
  tangents: readonly Tangent[],
  params: PrimitiveParams[P],
): Duals => jvpRules[primitive](primals, tangents, params)

/** The tangent, or an array of zeros if it is null. */
const dense = (t: Tangent, x: Value): Value => t ?? ops.zerosLike(x)

const addTangents = (a: Tangent, b: Tangent): Tangent => (a === null ? b : b === null ? a : ops.add(a, b))

/** d f(x) = derivative(x, f(x)) * dx. */
const unary =
  (name: UnaryPrimitive, derivative: (x: Value, y: Value) => Value): JvpRule<UnaryPrimitive> =>
  ([x], [t]) => {
    const y = bind<UnaryPrimitive>(name, [x], {})[0]
    return [[y], [ops.mul(t!, derivative(x, y))]]
  }

/** dz = dx(tx, x, y, z) + dy(ty, x, y, z): each function is linear in its first argument, an operand's tangent. */
const binary =
  (
    name: BinaryPrimitive,
    dx: (t: Value, x: Value, y: Value, z: Value) => Value,
    dy: (t: Value, x: Value, y: Value, z: Value) => Value,
  ): JvpRule<BinaryPrimitive> =>
  ([x, y], [tx, ty]) => {
    const z = bind<BinaryPrimitive>(name, [x, y], {})[0]
    return [[z], [addTangents(tx && dx(tx, x, y, z), ty && dy(ty, x, y, z))]]
  }

/** Piecewise constant functions, and functions of integers: their outputs have no tangents. */
const flat =
  <P extends PrimitiveName>(name: P): JvpRule<P> =>
  (primals, _, params) => {
    const outputs = bind(name, primals, params)
    return [outputs, outputs.map(() => null)]
  }

/** Linear in the first operand; the other operands never have tangents. */
const linear =
  <P extends PrimitiveName>(name: P): JvpRule<P> =>
  ([x, ...rest], [t], params) => [bind(name, [x, ...rest], params), [t && bind(name, [t, ...rest], params)[0]]]

/** Linear in all operands together: the same primitive is applied to the tangents, with arrays of zeros for null. */
const linearInAll =
  <P extends PrimitiveName>(name: P): JvpRule<P> =>
  (primals, tangents, params) => [
    bind(name, primals, params),
    bind(
      name,
      primals.map((x, i) => dense(tangents[i], x)),
      params,
    ),
  ]

/** Linear in the operands at these positions together; the other operands are indices. */
const linearIn =
  <P extends PrimitiveName>(name: P, operands: readonly number[]): JvpRule<P> =>
  (primals, tangents, params) => [
    bind(name, primals, params),
    bind(
      name,
      primals.map((x, i) => (operands.includes(i) ? dense(tangents[i], x) : x)),
      params,
    ),
  ]

/** The tangent of a maximum (or minimum) is the mean of the tangents of all elements that equal it. */
const reduceExtreme =
  (name: 'reduceMax' | 'reduceMin'): JvpRule<'reduceMax' | 'reduceMin'> =>
  ([x], [t], { axes }: ReduceParams) => {
    const y = bind(name, [x], { axes })[0]
    const kept = ops.range(x.ndim).filter(i => !axes.includes(i))
    const atBest = ops.convertElementType(ops.eq(x, ops.broadcastInDim(y, x.shape, kept)), x.dtype)
    const count = ops.reduceSum(atBest, axes)
    return [[y], [ops.div(ops.reduceSum(ops.mul(t!, atBest), axes), count)]]
  }

/**
 * The tangent of a product, computed by multiplying pairs of factors until one is left. Unlike y * sum(t / x), this is
 * correct when factors are zero, and so are its higher derivatives.
 */
const reduceProd: JvpRule<'reduceProd'> = ([x], [t], { axes }) => {
  const kept = ops.range(x.ndim).filter(i => !axes.includes(i))
  const keptShape = kept.map(i => x.shape[i])
  const last = kept.length
  const rows = (v: Value): Value =>
    ops.reshape(ops.transpose(v, [...kept, ...axes]), [...keptShape, sizeOf(axes.map(i => x.shape[i]))])
  const part = (v: Value, from: number, to: number): Value =>
    ops.slice(v, [...kept.map(() => 0), from], [...keptShape, to])
  let [factors, dots] = [rows(x), rows(t!)]
  for (let n = factors.shape[last]; n > 1; n = factors.shape[last]) {
    const half = Math.floor(n / 2)
    const [a, b, da, db] = [
      part(factors, 0, half),
      part(factors, half, 2 * half),
      part(dots, 0, half),
      part(dots, half, 2 * half),
    ]
    const rest = (v: Value): Value[] => (n % 2 === 0 ? [] : [part(v, n - 1, n)])
    dots = ops.concatenate([ops.add(ops.mul(da, b), ops.mul(a, db)), ...rest(dots)], last)
    factors = ops.concatenate([ops.mul(a, b), ...rest(factors)], last)
  }
  // One column is left, or none: the product of no factors is constant, and the sum of no tangents is 0.
  return [[ops.reduceProd(x, axes)], [ops.reduceSum(dots, [last])]]
}

/** 1 where the condition holds, 0.5 at a tie, otherwise 0: the derivative of max or min by one operand. */
const oneOrHalf = (condition: Value, tie: Value, like: Value): Value =>
  ops.select(tie, ops.full(like.shape, 0.5, like.dtype), ops.convertElementType(condition, like.dtype))

const twoOverSqrtPi = 2 / Math.sqrt(Math.PI)

const jvpRules: { [P in PrimitiveName]: JvpRule<P> } = {
  neg: linear('neg'),
  abs: unary('abs', x => ops.sign(x)),
  sign: flat('sign'),
  floor: flat('floor'),
  ceil: flat('ceil'),
  round: flat('round'),
  exp: unary('exp', (_, y) => y),
  expm1: unary('expm1', (_, y) => ops.add(y, 1)),
  log: ([x], [t]) => [[ops.log(x)], [ops.div(t!, x)]],
  log1p: ([x], [t]) => [[ops.log1p(x)], [ops.div(t!, ops.add(x, 1))]],
  sqrt: unary('sqrt', (_, y) => ops.div(0.5, y)),
  rsqrt: unary('rsqrt', (x, y) => ops.mul(ops.div(y, x), -0.5)),
  sin: unary('sin', x => ops.cos(x)),
  cos: unary('cos', x => ops.neg(ops.sin(x))),
  tanh: unary('tanh', (_, y) => ops.sub(1, ops.mul(y, y))),
  logistic: unary('logistic', (_, y) => ops.mul(y, ops.sub(1, y))),
  erf: unary('erf', x => ops.mul(ops.exp(ops.neg(ops.mul(x, x))), twoOverSqrtPi)),
  erfInv: unary('erfInv', (_, y) => ops.mul(ops.exp(ops.mul(y, y)), 1 / twoOverSqrtPi)),
  not: flat('not'),
  isFinite: flat('isFinite'),
  stopGradient: flat('stopGradient'),
  optimizationBarrier: linear('optimizationBarrier'),
  convertElementType: ([x], [t], { dtype }) => [
    [ops.convertElementType(x, dtype)],
    [isFloat(dtype) ? ops.convertElementType(t!, dtype) : null],
  ],
  bitcastConvertType: flat('bitcastConvertType'),
  add: binary(
    'add',
    t => t,
    t => t,
  ),
  sub: binary(
    'sub',
    t => t,
    t => ops.neg(t),
  ),
  mul: binary(
    'mul',
    (t, _, y) => ops.mul(t, y),
    (t, x) => ops.mul(t, x),
  ),
  div: binary(
    'div',
    (t, _, y) => ops.div(t, y),
    (t, _, y, z) => ops.neg(ops.mul(t, ops.div(z, y))),
  ),
  rem: binary(
    'rem',
    t => t,
    (t, x, y) => {
      const quotient = ops.div(x, y)
      return ops.neg(ops.mul(t, ops.mul(ops.sign(quotient), ops.floor(ops.abs(quotient)))))
    },
  ),
  pow: binary(
    'pow',
    // x^0 is constant, so its derivative is 0, also at x = 0, where the formula would give 0 * x^-1 = NaN.
    (t, x, y) => ops.mul(t, ops.mul(y, ops.pow(x, ops.select(ops.eq(y, 0), 1, ops.sub(y, 1))))),
    (t, x, _, z) => ops.mul(t, ops.mul(z, ops.log(ops.select(ops.eq(x, 0), 1, x)))),
  ),
  max: binary(
    'max',
    (t, x, y) => ops.mul(t, oneOrHalf(ops.gt(x, y), ops.eq(x, y), x)),
    (t, x, y) => ops.mul(t, oneOrHalf(ops.gt(y, x), ops.eq(x, y), x)),
  ),
  min: binary(
    'min',
    (t, x, y) => ops.mul(t, oneOrHalf(ops.lt(x, y), ops.eq(x, y), x)),
    (t, x, y) => ops.mul(t, oneOrHalf(ops.lt(y, x), ops.eq(x, y), x)),
  ),
  atan2: binary(
    'atan2',
    (t, y, x) => ops.mul(t, ops.div(x, ops.add(ops.mul(x, x), ops.mul(y, y)))),
    (t, y, x) => ops.neg(ops.mul(t, ops.div(y, ops.add(ops.mul(x, x), ops.mul(y, y))))),
  ),
  and: flat('and'),
  or: flat('or'),
  xor: flat('xor'),
  shiftLeft: flat('shiftLeft'),
  shiftRightLogical: flat('shiftRightLogical'),
  shiftRightArithmetic: flat('shiftRightArithmetic'),
  eq: flat('eq'),
  ne: flat('ne'),
  lt: flat('lt'),
  le: flat('le'),
  gt: flat('gt'),
  ge: flat('ge'),
  select: ([condition, x, y], [, tx, ty]) => [
    [ops.select(condition, x, y)],
    [ops.select(condition, dense(tx, x), dense(ty, y))],
  ],
  broadcastInDim: linear('broadcastInDim'),
  reshape: linear('reshape'),
  transpose: linear('transpose'),
  concatenate: linearInAll('concatenate'),
  pad: linearInAll('pad'),
  slice: linear('slice'),
  rev: linear('rev'),
  iota: flat('iota'),
  dynamicSlice: linear('dynamicSlice'),
  dynamicUpdateSlice: linearIn('dynamicUpdateSlice', [0, 1]),
  reduceSum: linear('reduceSum'),
  reduceMax: reduceExtreme('reduceMax'),
  reduceMin: reduceExtreme('reduceMin'),
  reduceProd,
  reduceAnd: flat('reduceAnd'),
  reduceOr: flat('reduceOr'),
  argmax: flat('argmax'),
  argmin: flat('argmin'),
  cumsum: linear('cumsum'),
  dotGeneral: ([x, y], [tx, ty], params) => [
    [ops.dotGeneral(x, y, params)],
    [addTangents(tx && ops.dotGeneral(tx, y, params), ty && ops.dotGeneral(x, ty, params))],
  ],
  gather: linear('gather'),
  scatter: linearIn('scatter', [0, 2]),
  scatterAdd: linearIn('scatterAdd', [0, 2]),
  sort: (xs, tangents, { axis }) => {
    const positions = ops.iota('int32', xs[0].shape, axis)
    const sorted = ops.sort([...xs, positions], axis)
    const order = sorted[xs.length]
    return [sorted.slice(0, -1), tangents.map(t => t && takeAlong(t, order, axis))]
  },
  topK: ([x], [t], { k }) => {
    const [values, positions] = ops.topK(x, k)
    return [
      [values, positions],
      [takeAlong(t!, positions, x.ndim - 1), null],
    ]
  },
  threefry2x32: flat('threefry2x32'),
  call: programs.call(jvpEval),
  composite: compositeJvp(jvpEval),
  linearCall: (primals, tangents, { program }) => jvpEval(program, primals, tangents),
  scan: programs.scan(jvpEval),
  while: programs.whileLoop(jvpEval),
  cond: programs.cond(jvpEval),
  shardingConstraint: linear('shardingConstraint'),
  shardMap: shardMapJvp(jvpEval),
  psum: linear('psum'),
  allGather: linear('allGather'),
  reduceScatter: linear('reduceScatter'),
  allToAll: linear('allToAll'),
  ppermute: linear('ppermute'),
  axisIndex: flat('axisIndex'),
}

/** x's elements at `positions` along one axis, as NumPy's take_along_axis. */
function takeAlong(x: Value, positions: Value, axis: number): Value {
  const indices = ops
    .range(x.ndim)
    .map(i => ops.reshape(i === axis ? positions : ops.iota('int32', positions.shape, i), [...positions.shape, 1]))
  return ops.gather(x, ops.concatenate(indices, x.ndim), { axes: ops.range(x.ndim), batchDims: 0, mode: 'clip' })
}
