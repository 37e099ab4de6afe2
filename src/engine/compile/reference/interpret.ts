import { allocate, dtypes, extremeOf } from '../../../base/dtypes.js'
import { castHost, hostScalar, reader, sizeOf, writer } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import type { Aval } from '../../program/aval.js'
import { binaryPrimitives, comparePrimitives, unaryPrimitives } from '../../program/primitives.js'
import type {
  BinaryPrimitive,
  ComparePrimitive,
  PrimitiveName,
  ReduceParams,
  UnaryPrimitive,
} from '../../program/primitives.js'
import type { Atom, PrimitiveParams, Program, Var } from '../../program/program.js'
import { Lit } from '../../program/program.js'
import { expandShardMap } from '../../transform/expand-shard-map.js'
import { binaryRules, int64Binary, int64Unary, unaryRules } from './elementwise.js'
import * as indexing from './indexing.js'
import * as reduction from './reduce.js'
import * as structure from './structure.js'
import { threefry2x32 } from './threefry.js'

/** Computes a primitive's outputs, whose types are `outputs`. */
type Rule<P extends PrimitiveName> = (
  inputs: readonly HostTensor[],
  params: PrimitiveParams[P],
  outputs: readonly Aval[],
) => HostTensor[]

/** Runs a program on host tensors, one equation after the other. */
export function interpret(program: Program, inputs: readonly HostTensor[]): HostTensor[] {
  const env = new Map<Var, HostTensor>()
  program.inputs.forEach((v, i) => env.set(v, inputs[i]))
  const read = (a: Atom): HostTensor => (a instanceof Lit ? scalar(a) : env.get(a)!)
  for (const eqn of program.equations) {
    const outputs = evaluate(
      eqn.primitive,
      eqn.inputs.map(read),
      eqn.params,
      eqn.outputs.map(o => o.aval),
    )
    eqn.outputs.forEach((v, i) => env.set(v, outputs[i]))
  }
  return program.outputs.map(read)
}

const evaluate = <P extends PrimitiveName>(
  primitive: P,
  inputs: readonly HostTensor[],
  params: PrimitiveParams[P],
  outputs: readonly Aval[],
): HostTensor[] => rules[primitive](inputs, params, outputs)

const scalar = ({ value, aval: { dtype } }: Lit): HostTensor => hostScalar(dtype, value)

function unary(primitive: UnaryPrimitive): Rule<UnaryPrimitive> {
  return ([x], _, [out]) => {
    const data = allocate(out.dtype, x.data.length)
    if (x.data instanceof BigInt64Array) {
      const f = int64Unary[primitive]!
      x.data.forEach((v, i) => {
        ;(data as BigInt64Array)[i] = f(v)
      })
    } else {
      const [read, write, f] = [reader(x.dtype, x.data), writer(out.dtype, data), unaryRules[primitive]]
      for (let i = 0; i < data.length; i++) write(i, f(read(i), x.dtype))
    }
    return [{ ...out, data }]
  }
}

function binary(primitive: BinaryPrimitive | ComparePrimitive): Rule<BinaryPrimitive | ComparePrimitive> {
  return ([x, y], _, [out]) => {
    const data = allocate(out.dtype, x.data.length)
    if (x.data instanceof BigInt64Array && y.data instanceof BigInt64Array) {
      const f = int64Binary[primitive]!
      for (let i = 0; i < data.length; i++) {
        const value = f(x.data[i], y.data[i])
        if (data instanceof BigInt64Array) data[i] = value
        else data[i] = Number(value)
      }
    } else {
      const [readX, readY, write, f] = [
        reader(x.dtype, x.data),
        reader(y.dtype, y.data),
        writer(out.dtype, data),
        binaryRules[primitive],
      ]
      for (let i = 0; i < data.length; i++) write(i, f(readX(i), readY(i), x.dtype))
    }
    return [{ ...out, data }]
  }
}

/** One rule for each name. */
const table = <P extends PrimitiveName>(names: readonly P[], rule: (name: P) => unknown): { [Q in P]: Rule<Q> } =>
  Object.fromEntries(names.map(name => [name, rule(name)])) as { [Q in P]: Rule<Q> }

/** A reduction. `initial` is its result over no elements; for max and min that depends on the operand's dtype. */
const fold =
  (initial: number | ((x: HostTensor) => number | bigint), rule: reduction.Fold) =>
  ([x]: readonly HostTensor[], { axes }: ReduceParams): HostTensor[] => [
    reduction.reduce(x, axes, typeof initial === 'number' ? initial : initial(x), rule),
  ]

function bitcast(x: HostTensor, { dtype }: PrimitiveParams['bitcastConvertType']): HostTensor {
  const copy = x.data.slice()
  return { dtype, shape: x.shape, data: dtypes[dtype].make(copy.buffer, copy.byteOffset, copy.length) }
}

/** Row `i` of a tensor, along axis 0. */
const row = (x: HostTensor, i: number): HostTensor => {
  const size = sizeOf(x.shape.slice(1))
  return { dtype: x.dtype, shape: x.shape.slice(1), data: x.data.slice(i * size, (i + 1) * size) }
}

const scan: Rule<'scan'> = (inputs, { body, numConsts, numCarry, length, reverse }, outputs) => {
  const consts = inputs.slice(0, numConsts)
  let carry = inputs.slice(numConsts, numConsts + numCarry)
  const xs = inputs.slice(numConsts + numCarry)
  const ys = outputs.slice(numCarry).map(a => ({ ...a, data: allocate(a.dtype, sizeOf(a.shape)) }))
  for (let n = 0; n < length; n++) {
    const i = reverse ? length - 1 - n : n
    const results = interpret(body, [...consts, ...carry, ...xs.map(x => row(x, i))])
    carry = results.slice(0, numCarry)
    results.slice(numCarry).forEach((y, k) => {
      for (let e = 0; e < y.data.length; e++) structure.copyElement(y.data, e, ys[k].data, i * y.data.length + e)
    })
  }
  return [...carry, ...ys]
}

const whileLoop: Rule<'while'> = (inputs, { condition, body, numConditionConsts, numBodyConsts }) => {
  const conditionConsts = inputs.slice(0, numConditionConsts)
  const bodyConsts = inputs.slice(numConditionConsts, numConditionConsts + numBodyConsts)
  let carry = inputs.slice(numConditionConsts + numBodyConsts)
  while (interpret(condition, [...conditionConsts, ...carry])[0].data[0])
    carry = interpret(body, [...bodyConsts, ...carry])
  return [...carry]
}

const subprogram = (inputs: readonly HostTensor[], { program }: { program: Program }): HostTensor[] =>
  interpret(program, inputs)

/** Collectives within a shardMap are gone once it is expanded, and lax does not let them be written elsewhere. */
const outsideOfMesh = (): never => {
  throw new Error('a collective outside of a shardMap')
}

const rules: { [P in PrimitiveName]: Rule<P> } = {
  ...table(unaryPrimitives, unary),
  ...table([...binaryPrimitives, ...comparePrimitives], binary),
  convertElementType: ([x], { dtype }) => [castHost(x, dtype)],
  bitcastConvertType: ([x], params) => [bitcast(x, params)],
  select: ([condition, x, y]) => {
    const data = y.data.slice()
    for (let i = 0; i < data.length; i++) if (condition.data[i]) structure.copyElement(x.data, i, data, i)
    return [{ ...x, data }]
  },
  broadcastInDim: ([x], params) => [structure.broadcastInDim(x, params)],
  reshape: ([x], { shape }) => [{ ...x, shape }],
  transpose: ([x], params) => [structure.transpose(x, params)],
  concatenate: (xs, params, [out]) => [structure.concatenate(xs, params, out.shape)],
  pad: ([x, value], params, [out]) => [structure.pad(x, value, params, out.shape)],
  slice: ([x], params) => [structure.slice(x, params)],
  rev: ([x], params) => [structure.rev(x, params)],
  iota: (_, params) => [structure.iota(params)],
  dynamicSlice: ([x, ...starts], params) => [structure.dynamicSlice(x, starts, params)],
  dynamicUpdateSlice: ([x, update, ...starts]) => [structure.dynamicUpdateSlice(x, update, starts)],
  reduceSum: fold(0, { float: (a, b) => a + b, integer: (a, b) => a + b }),
  reduceProd: fold(1, { float: (a, b) => a * b, integer: (a, b) => a * b }),
  reduceMax: fold(x => extremeOf(x.dtype, 'least'), { float: Math.max, integer: (a, b) => (a > b ? a : b) }),
  reduceMin: fold(x => extremeOf(x.dtype, 'greatest'), { float: Math.min, integer: (a, b) => (a < b ? a : b) }),
  reduceAnd: fold(1, { float: Math.min, integer: (a, b) => a & b }),
  reduceOr: fold(0, { float: Math.max, integer: (a, b) => a | b }),
  argmax: ([x], { axis }) => [reduction.argBest(x, axis, (a, b) => a > b)],
  argmin: ([x], { axis }) => [reduction.argBest(x, axis, (a, b) => a < b)],
  cumsum: ([x], { axis, reverse }) => [reduction.cumsum(x, axis, reverse)],
  dotGeneral: ([x, y], params) => [reduction.dotGeneral(x, y, params)],
  gather: ([x, indices], params, [out]) => [indexing.gather(x, indices, params, out.shape)],
  scatter: ([x, indices, updates], params) => [indexing.scatter(x, indices, updates, params)],
  scatterAdd: ([x, indices, updates], params) => [indexing.scatterAdd(x, indices, updates, params)],
  sort: (xs, { axis }) => reduction.sort(xs, axis),
  topK: ([x], { k }) => reduction.topK(x, k),
  threefry2x32: ([key0, key1, count0, count1]) => threefry2x32(key0, key1, count0, count1),
  call: subprogram,
  composite: subprogram,
  linearCall: subprogram,
  scan,
  while: whileLoop,
  cond: ([index, ...operands], { branches }) =>
    interpret(branches[Math.max(0, Math.min(Number(index.data[0]), branches.length - 1))], operands),
  shardingConstraint: ([x]) => [x],
  shardMap: (inputs, params) => interpret(expandShardMap(params), inputs),
  psum: outsideOfMesh,
  allGather: outsideOfMesh,
  reduceScatter: outsideOfMesh,
  allToAll: outsideOfMesh,
  ppermute: outsideOfMesh,
  axisIndex: outsideOfMesh,
}
