import { axisNamesOf } from '../program/axis-names.js'
import * as ops from '../program/ops.js'
import type { PrimitiveName, ReduceParams } from '../program/primitives.js'
import { Lit } from '../program/program.js'
import type { Atom, Program, Var } from '../program/program.js'
import { bind, traceClosed } from '../program/trace.js'
import { Literal } from '../program/value.js'
import * as collectives from './batch-collectives.js'
import * as indexing from './batch-indexing.js'
import * as programs from './batch-programs.js'
import { lead, mapped, shift, unmapped } from './batching.js'
import type { BatchAxis, Batched, BatchRule } from './rules.js'

/**
 * Applies a program to a batch of examples. Equations that have no mapped operand, and do not name the axis, are
 * applied once for all examples.
 */
export function batchEval(program: Program, axis: BatchAxis, inputs: readonly Batched[]): Batched[] {
  const env = new Map<Var, Batched>()
  const read = (a: Atom): Batched => (a instanceof Lit ? unmapped(new Literal(a.value, a.aval.dtype)) : env.get(a)!)
  program.inputs.forEach((v, i) => env.set(v, inputs[i]))
  for (const eqn of program.equations) {
    const operands = eqn.inputs.map(read)
    const outputs =
      operands.some(x => x.batched) || (axis.name !== undefined && axisNamesOf(eqn).has(axis.name))
        ? applyRule(eqn.primitive, operands, eqn.params, axis)
        : bind(
            eqn.primitive,
            operands.map(x => x.value),
            eqn.params,
          ).map(unmapped)
    eqn.outputs.forEach((v, i) => env.set(v, outputs[i]))
  }
  return program.outputs.map(read)
}

const applyRule = <P extends PrimitiveName>(
  primitive: P,
  ...[inputs, params, axis]: Parameters<BatchRule<P>>
): Batched[] => batchRules[primitive](inputs, params, axis)

/**
 * The program for a batch: mapped inputs and outputs have the batch as axis 0. `batched` says which inputs are mapped
 * and, in the result, which outputs are. Outputs in the mask `alwaysMapped` are mapped in any case, by repetition if
 * necessary.
 */
export function batchProgram(
  program: Program,
  axis: BatchAxis,
  batched: readonly boolean[],
  alwaysMapped: readonly boolean[] = [],
): { program: Program; batched: boolean[] } {
  const types = program.inputs.map(({ aval }, i) =>
    batched[i] ? { ...aval, shape: [axis.size, ...aval.shape] } : aval,
  )
  let outBatched: boolean[] = []
  const result = traceClosed(types, inputs => {
    const outputs = batchEval(
      program,
      axis,
      inputs.map((value, i) => ({ value, batched: batched[i] })),
    ).map((y, i) => (alwaysMapped[i] ? mapped(lead(y, axis.size)) : y))
    outBatched = outputs.map(y => y.batched)
    return outputs.map(y => y.value)
  })
  return { program: result, batched: outBatched }
}

/** Element-wise primitives: every operand gets the batch as axis 0, and the parameters stay as they are. */
const pointwise =
  <P extends PrimitiveName>(primitive: P): BatchRule<P> =>
  (inputs, params, { size }) =>
    bind(
      primitive,
      inputs.map(x => lead(x, size)),
      params,
    ).map(mapped)

const reduction =
  <P extends 'reduceSum' | 'reduceMax' | 'reduceMin' | 'reduceProd' | 'reduceAnd' | 'reduceOr'>(
    primitive: P,
  ): BatchRule<P> =>
  ([x], { axes }: ReduceParams) =>
    bind<typeof primitive>(primitive, [x.value], { axes: shift(axes) }).map(mapped)

const batchRules: { [P in PrimitiveName]: BatchRule<P> } = {
  neg: pointwise('neg'),
  abs: pointwise('abs'),
  sign: pointwise('sign'),
  floor: pointwise('floor'),
  ceil: pointwise('ceil'),
  round: pointwise('round'),
  exp: pointwise('exp'),
  expm1: pointwise('expm1'),
  log: pointwise('log'),
  log1p: pointwise('log1p'),
  sqrt: pointwise('sqrt'),
  rsqrt: pointwise('rsqrt'),
  sin: pointwise('sin'),
  cos: pointwise('cos'),
  tanh: pointwise('tanh'),
  logistic: pointwise('logistic'),
  erf: pointwise('erf'),
  erfInv: pointwise('erfInv'),
  not: pointwise('not'),
  isFinite: pointwise('isFinite'),
  stopGradient: pointwise('stopGradient'),
  optimizationBarrier: pointwise('optimizationBarrier'),
  convertElementType: pointwise('convertElementType'),
  bitcastConvertType: pointwise('bitcastConvertType'),
  add: pointwise('add'),
  sub: pointwise('sub'),
  mul: pointwise('mul'),
  div: pointwise('div'),
  rem: pointwise('rem'),
  pow: pointwise('pow'),
  max: pointwise('max'),
  min: pointwise('min'),
  atan2: pointwise('atan2'),
  and: pointwise('and'),
  or: pointwise('or'),
  xor: pointwise('xor'),
  shiftLeft: pointwise('shiftLeft'),
  shiftRightLogical: pointwise('shiftRightLogical'),
  shiftRightArithmetic: pointwise('shiftRightArithmetic'),
  eq: pointwise('eq'),
  ne: pointwise('ne'),
  lt: pointwise('lt'),
  le: pointwise('le'),
  gt: pointwise('gt'),
  ge: pointwise('ge'),
  select: pointwise('select'),
  broadcastInDim: ([x], { shape, dims }, { size }) => [
    mapped(ops.broadcastInDim(x.value, [size, ...shape], [0, ...shift(dims)])),
  ],
  reshape: ([x], { shape }, { size }) => [mapped(ops.reshape(x.value, [size, ...shape]))],
  transpose: ([x], { perm }) => [mapped(ops.transpose(x.value, [0, ...shift(perm)]))],
  concatenate: (xs, { axis }, { size }) => [
    mapped(
      ops.concatenate(
        xs.map(x => lead(x, size)),
        axis + 1,
      ),
    ),
  ],
  pad: indexing.pad,
  slice: ([x], { start, limit, strides }, { size }) => [
    mapped(ops.slice(x.value, [0, ...start], [size, ...limit], [1, ...strides])),
  ],
  rev: ([x], { axes }) => [mapped(ops.rev(x.value, shift(axes)))],
  iota: (_, params) => bind('iota', [], params).map(unmapped),
  dynamicSlice: indexing.dynamicSlice,
  dynamicUpdateSlice: indexing.dynamicUpdateSlice,
  reduceSum: reduction('reduceSum'),
  reduceMax: reduction('reduceMax'),
  reduceMin: reduction('reduceMin'),
  reduceProd: reduction('reduceProd'),
  reduceAnd: reduction('reduceAnd'),
  reduceOr: reduction('reduceOr'),
  argmax: ([x], { axis }) => [mapped(ops.argmax(x.value, axis + 1))],
  argmin: ([x], { axis }) => [mapped(ops.argmin(x.value, axis + 1))],
  cumsum: ([x], { axis, reverse }) => [mapped(ops.cumsum(x.value, axis + 1, reverse))],
  dotGeneral: indexing.dotGeneral,
  gather: indexing.gather,
  scatter: indexing.scatter('scatter'),
  scatterAdd: indexing.scatter('scatterAdd'),
  sort: (xs, { axis }, { size }) =>
    ops
      .sort(
        xs.map(x => lead(x, size)),
        axis + 1,
      )
      .map(mapped),
  topK: pointwise('topK'),
  threefry2x32: pointwise('threefry2x32'),
  call: programs.call(batchProgram),
  composite: programs.composite(batchProgram),
  linearCall: programs.linearCall(batchProgram),
  scan: programs.scan(batchProgram),
  while: programs.whileLoop(batchProgram),
  cond: programs.cond(batchProgram),
  shardingConstraint: collectives.shardingConstraint,
  shardMap: collectives.shardMap(batchProgram),
  psum: collectives.psum,
  allGather: collectives.allGather,
  reduceScatter: collectives.reduceScatter,
  allToAll: collectives.allToAll,
  ppermute: collectives.ppermute,
  axisIndex: collectives.axisIndex,
}
