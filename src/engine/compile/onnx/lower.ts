import { isFloat } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import { SwitchyardError } from '../../../base/errors.js'
import { hostFrom, sizeOf, stridesOf } from '../../../base/tensor.js'
import { formatAval } from '../../program/aval.js'
import type { Aval } from '../../program/aval.js'
import { range } from '../../program/ops.js'
import type { BinaryPrimitive, ComparePrimitive, DotParams, GatherParams, PrimitiveName, PrimitiveParams, UnaryPrimitive } from '../../program/primitives.js'
import { Lit } from '../../program/program.js'
import type { Atom, Program, Var } from '../../program/program.js'
import { GraphWriter } from './graph.js'
import type { Lowered } from './graph.js'

type Lowering<P extends PrimitiveName> = (g: GraphWriter, inputs: readonly Lowered[], params: PrimitiveParams[P], ins: readonly Aval[], outs: readonly Aval[]) => Lowered[]

/** The dtypes that lower directly; the others are refused by name until they have a path of their own. */
const direct: readonly DType[] = ['float32', 'int32', 'int64', 'bool']

/** Writes a program's equations into a graph; returns its outputs, whole. */
export function lowerProgram(g: GraphWriter, program: Program, inputs: readonly Lowered[]): Lowered[] {
  const env = new Map<Var, Lowered>()
  const read = (a: Atom): Lowered => (a instanceof Lit ? g.constant(hostFrom(a.aval.dtype, [], [Number(a.value)])) : env.get(a)!)
  program.inputs.forEach((v, i) => env.set(v, inputs[i]))
  for (const eqn of program.equations) {
    const [ins, outs] = [eqn.inputs.map(a => a.aval), eqn.outputs.map(o => o.aval)]
    for (const a of [...ins, ...outs]) if (!direct.includes(a.dtype)) throw notLowered(eqn.primitive, ins)
    const outputs = applyRule(g, eqn.primitive, eqn.inputs.map(read), eqn.params, ins, outs)
    eqn.outputs.forEach((v, i) => env.set(v, outputs[i]))
  }
  return program.outputs.map(o => g.expand(read(o), o.aval.shape))
}

function notLowered(primitive: string, inputs: readonly Aval[]): SwitchyardError {
  return new SwitchyardError(`the ONNX backend cannot run ${primitive}(${inputs.map(formatAval).join(', ')}) yet: use the reference backend`)
}

function applyRule<P extends PrimitiveName>(g: GraphWriter, primitive: P, inputs: readonly Lowered[], params: PrimitiveParams[P], ins: readonly Aval[], outs: readonly Aval[]): Lowered[] {
  return lowerings[primitive](g, inputs, params, ins, outs)
}

const unsupported = <P extends PrimitiveName>(primitive: P): Lowering<P> => (_g, _inputs, _params, ins) => { throw notLowered(primitive, ins) }

type Plain = UnaryPrimitive | BinaryPrimitive | ComparePrimitive | 'select'
type Reduction = 'reduceSum' | 'reduceMax' | 'reduceMin' | 'reduceProd' | 'reduceAnd' | 'reduceOr'

const unary = (op: string): Lowering<Plain> => (g, [x], _, __, [out]) => [g.node(op, [x], out.dtype, x.shape)]

/** Element-wise on operands that may still be broadcast: the result is as large as the largest of each axis. */
const elementwise = (op: string): Lowering<Plain> => (g, inputs, _, __, [out]) => [g.node(op, inputs, out.dtype, joined(inputs))]

const joined = (inputs: readonly Lowered[]): number[] => inputs[0].shape.map((_, i) => (inputs.some(x => x.shape[i] === 0) ? 0 : Math.max(...inputs.map(x => x.shape[i]))))

const logical = (op: string, bitwise: string): Lowering<Plain> => (g, inputs, _, [x], [out]) =>
  [g.node(x.dtype === 'bool' ? op : bitwise, inputs, out.dtype, joined(inputs))]

/** Comparisons of bool go through int32. */
const compare = (op: string, negated = false): Lowering<Plain> => (g, inputs) => {
  const operands = inputs.map(x => (x.dtype === 'bool' ? g.cast(x, 'int32') : x))
  const result = g.node(op, operands, 'bool', joined(inputs))
  return [negated ? g.node('Not', [result], 'bool', result.shape) : result]
}

const reduce = (op: string): Lowering<Reduction> => (g, [x], { axes }, [a], [out]) =>
  [g.node(op, [g.expand(x, a.shape), g.ints(axes)], out.dtype, out.shape, { keepdims: 0 })]

const reduceBool = (op: string): Lowering<Reduction> => (g, [x], { axes }, [a], [out]) => {
  const asInt = g.cast(g.expand(x, a.shape), 'int32')
  return [g.cast(g.node(op, [asInt, g.ints(axes)], 'int32', out.shape, { keepdims: 0 }), 'bool')]
}

const argBest = (op: string): Lowering<'argmax' | 'argmin'> => (g, [x], { axis }, [a], [out]) =>
  [g.cast(g.node(op, [g.expand(x, a.shape)], 'int64', out.shape, { axis, keepdims: 0 }), 'int32')]

/** exp(x) - 1 and log(1 + x) without the loss near 0 (Kahan): a corrected ratio. */
const expm1: Lowering<Plain> = (g, [x]) => {
  // tanh(x/2) is exact near 0: exp(x) - 1 = 2 t / (1 - t), t = tanh(x/2); away from 0 the plain form.
  const s = x.shape
  const t = g.node('Tanh', [g.node('Mul', [x, g.scalar('float32', 0.5)], 'float32', s)], 'float32', s)
  const near = g.node('Div', [g.node('Mul', [t, g.scalar('float32', 2)], 'float32', s), g.node('Sub', [g.scalar('float32', 1), t], 'float32', s)], 'float32', s)
  const far = g.node('Sub', [g.node('Exp', [x], 'float32', s), g.scalar('float32', 1)], 'float32', s)
  const small = g.node('Less', [g.node('Abs', [x], 'float32', s), g.scalar('float32', 0.5)], 'bool', s)
  return [g.node('Where', [small, near, far], 'float32', s)]
}

const log1p: Lowering<Plain> = (g, [x]) => {
  const s = x.shape
  const one = g.scalar('float32', 1)
  const u = g.node('Add', [x, one], 'float32', s)
  const gap = g.node('Sub', [u, one], 'float32', s)
  const exact = g.node('Equal', [gap, g.scalar('float32', 0)], 'bool', s)
  const ratio = g.node('Div', [x, g.node('Where', [exact, one, gap], 'float32', s)], 'float32', s)
  const large = g.node('Mul', [g.node('Log', [u], 'float32', s), ratio], 'float32', s)
  const infinite = g.node('IsInf', [u], 'bool', s)
  return [g.node('Where', [infinite, u, g.node('Where', [exact, x, large], 'float32', s)], 'float32', s)]
}

const rsqrt: Lowering<Plain> = (g, [x]) => [g.node('Div', [g.scalar('float32', 1), g.node('Sqrt', [x], 'float32', x.shape)], 'float32', x.shape)]

const rem: Lowering<Plain> = (g, inputs, _, __, [out]) => [g.node('Mod', inputs, out.dtype, joined(inputs), { fmod: 1 })]

const select: Lowering<Plain> = (g, [condition, x, y], _, __, [out]) => {
  const shape = joined([condition, x, y])
  if (out.dtype !== 'bool') return [g.node('Where', [condition, x, y], out.dtype, shape)]
  const yes = g.node('And', [condition, x], 'bool', joined([condition, x]))
  const no = g.node('And', [g.node('Not', [condition], 'bool', condition.shape), y], 'bool', joined([condition, y]))
  return [g.node('Or', [yes, no], 'bool', shape)]
}

/** One MatMul: both operands as [batch, rows, contracted] and [batch, contracted, columns]. */
function dotGeneral(g: GraphWriter, [x, y]: readonly Lowered[], { contract: [cx, cy], batch: [bx, by] }: DotParams, [ax, ay]: readonly Aval[], [out]: readonly Aval[]): Lowered[] {
  if (!isFloat(out.dtype)) throw notLowered('dotGeneral', [ax, ay])
  const free = (a: Aval, used: readonly number[]): number[] => range(a.shape.length).filter(i => !used.includes(i))
  const [fx, fy] = [free(ax, [...bx, ...cx]), free(ay, [...by, ...cy])]
  const sizes = (a: Aval, axes: readonly number[]): number[] => axes.map(i => a.shape[i])
  const batch = sizeOf(sizes(ax, bx)), rows = sizeOf(sizes(ax, fx)), inner = sizeOf(sizes(ax, cx)), columns = sizeOf(sizes(ay, fy))
  const lead = bx.length === 0 ? [] : [batch]
  // An operand that already stands transposed is left so: FusedMatMul reads it that way at full speed.
  const xLast = g.expand(x, ax.shape), yLast = g.expand(y, ay.shape)
  const inOrder = (perm: readonly number[]): boolean => perm.every((p, i) => p === i)
  const transA = !inOrder([...bx, ...fx, ...cx]) && inOrder([...bx, ...cx, ...fx])
  const transB = !inOrder([...by, ...cy, ...fy]) && inOrder([...by, ...fy, ...cy])
  const a = g.reshape(transA ? xLast : g.transpose(xLast, [...bx, ...fx, ...cx]), [...lead, ...(transA ? [inner, rows] : [rows, inner])])
  const b = g.reshape(transB ? yLast : g.transpose(yLast, [...by, ...cy, ...fy]), [...lead, ...(transB ? [columns, inner] : [inner, columns])])
  const shape = [...lead, rows, columns]
  const product = transA || transB
    ? g.node('FusedMatMul', [a, b], out.dtype, shape, { transA: Number(transA), transB: Number(transB) }, 'com.microsoft')
    : g.node('MatMul', [a, b], out.dtype, shape)
  return [g.reshape(product, out.shape)]
}

/** int64 indices clamped into the operand, and (when asked) whether each was inside. */
function clampIndices(g: GraphWriter, indices: Lowered, sizes: readonly number[]): { clamped: Lowered; inside: Lowered } {
  const wide = g.cast(indices, 'int64')
  const [zero, last] = [g.scalar('int64', 0), g.ints(sizes.map(s => s - 1))]
  const clamped = g.node('Max', [g.node('Min', [wide, last], 'int64', wide.shape), zero], 'int64', wide.shape)
  return { clamped, inside: g.node('Equal', [clamped, wide], 'bool', wide.shape) }
}

const allInside = (g: GraphWriter, inside: Lowered, rank: number): Lowered => {
  const shape = inside.shape.slice(0, -1)
  const one = g.node('ReduceMin', [g.cast(inside, 'int32'), g.ints([shape.length])], 'int32', shape, { keepdims: 0 })
  return g.reshape(g.cast(one, 'bool'), [...shape, ...range(rank - shape.length).map(() => 1)])
}

const gather: Lowering<'gather'> = (g, [x, indices], { axes, batchDims, mode }, [ax, ai], [out]) => {
  const sizes = axes.map(a => ax.shape[a])
  const { clamped, inside } = clampIndices(g, g.expand(indices, ai.shape), sizes)
  const rest = range(ax.shape.length).filter(i => i >= batchDims && !axes.includes(i))
  const operand = g.transpose(g.expand(x, ax.shape), [...range(batchDims), ...axes, ...rest])
  const result = batchDims === 0 && axes.length === 1
    ? g.node('Gather', [operand, g.reshape(clamped, ai.shape.slice(0, -1))], out.dtype, out.shape, { axis: 0 })
    : g.node('GatherND', [operand, clamped], out.dtype, out.shape, { batch_dims: batchDims })
  if (mode === 'clip') return [result]
  return select(g, [allInside(g, inside, out.shape.length), result, g.scalar(out.dtype, 0)].map(v => ({ ...v, shape: v.shape.length === 0 ? out.shape.map(() => 1) : v.shape })), {}, [], [out])
}

/** ScatterElements on rows: indices become one row number each, dropped ones point at a row past the end. */
const scatter = (reduction: 'none' | 'add'): Lowering<'scatter' | 'scatterAdd'> => (g, [x, indices, updates], params: GatherParams, [ax, ai, au], [out]) => {
  const { axes, batchDims, mode } = params
  const rest = range(ax.shape.length).filter(i => i >= batchDims && !axes.includes(i))
  const perm = [...range(batchDims), ...axes, ...rest]
  const permuted = perm.map(p => ax.shape[p])
  const numRows = sizeOf(permuted.slice(0, batchDims + axes.length))
  const width = sizeOf(rest.map(i => ax.shape[i]))
  const count = sizeOf(ai.shape.slice(0, -1))
  const { clamped, inside } = clampIndices(g, g.expand(indices, ai.shape), axes.map(a => ax.shape[a]))
  const rowStrides = stridesOf(permuted.slice(0, batchDims + axes.length))
  let rows = g.node('ReduceSum', [g.node('Mul', [clamped, g.ints(rowStrides.slice(batchDims))], 'int64', ai.shape), g.ints([ai.shape.length - 1])], 'int64', ai.shape.slice(0, -1), { keepdims: 0 })
  if (batchDims > 0) {
    const shape = ai.shape.slice(0, batchDims)
    const offsets = range(sizeOf(shape)).map(i => i * rowStrides[batchDims - 1])
    rows = g.node('Add', [rows, g.numbers('int64', [...shape, ...ai.shape.slice(batchDims, -1).map(() => 1)], offsets)], 'int64', rows.shape)
  }
  if (mode !== 'clip') rows = g.node('Where', [allInside(g, inside, rows.shape.length), rows, g.scalar('int64', numRows)], 'int64', rows.shape)
  const padded = [numRows + 1, width]
  const operand = g.reshape(g.transpose(g.expand(x, ax.shape), perm), [numRows, width])
  const extended = g.node('Concat', [operand, g.expand(g.numbers(out.dtype, [1, 1], [0]), [1, width])], out.dtype, padded, { axis: 0 })
  const at = g.expand(g.reshape(rows, [count, 1]), [count, width])
  const written = g.node('ScatterElements', [extended, at, g.reshape(g.expand(updates, au.shape), [count, width])], out.dtype, padded, { axis: 0, reduction })
  const kept = g.node('Slice', [written, g.ints([0]), g.ints([numRows]), g.ints([0])], out.dtype, [numRows, width])
  return [g.transpose(g.reshape(kept, permuted), perm.map((_, i) => perm.indexOf(i)))]
}

const pad: Lowering<'pad'> = (g, [x, value], { low, high, interior }, [a], [out]) => {
  if (interior.some(n => n > 0) || out.dtype === 'bool') throw notLowered('pad', [a])
  const crop = (n: number): number => Math.min(n, 0)
  const grow = (n: number): number => Math.max(n, 0)
  const starts = low.map(n => -crop(n))
  const ends = a.shape.map((d, i) => d + crop(high[i]))
  const cropped = g.node('Slice', [g.expand(x, a.shape), g.ints(starts), g.ints(ends)], out.dtype, ends.map((e, i) => e - starts[i]))
  return [g.node('Pad', [cropped, g.ints([...low.map(grow), ...high.map(grow)]), value], out.dtype, out.shape)]
}

/** Starts as one int64 vector, clamped so that the window fits. */
function windowStarts(g: GraphWriter, starts: readonly Lowered[], shape: readonly number[], sizes: readonly number[]): Lowered {
  const joinedStarts = g.node('Concat', starts.map(s => g.reshape(g.cast(s, 'int64'), [1])), 'int64', [shape.length], { axis: 0 })
  const limited = g.node('Min', [joinedStarts, g.ints(shape.map((d, i) => d - sizes[i]))], 'int64', [shape.length])
  return g.node('Max', [limited, g.scalar('int64', 0)], 'int64', [shape.length])
}

const inline = (g: GraphWriter, inputs: readonly Lowered[], { program }: { program: Program }): Lowered[] => lowerProgram(g, program, inputs)

const lowerings: { [P in PrimitiveName]: Lowering<P> } = {
  neg: unary('Neg'), abs: unary('Abs'), sign: unary('Sign'), floor: unary('Floor'), ceil: unary('Ceil'), round: unary('Round'),
  exp: unary('Exp'), expm1, log: unary('Log'), log1p, sqrt: unary('Sqrt'), rsqrt, sin: unary('Sin'), cos: unary('Cos'),
  tanh: unary('Tanh'), logistic: unary('Sigmoid'), erf: unary('Erf'), erfInv: unsupported('erfInv'),
  not: logical('Not', 'BitwiseNot'),
  isFinite: (g, [x]) => {
    const bad = g.node('Or', [g.node('IsInf', [x], 'bool', x.shape), g.node('IsNaN', [x], 'bool', x.shape)], 'bool', x.shape)
    return [g.node('Not', [bad], 'bool', x.shape)]
  },
  stopGradient: (_, [x]) => [x], optimizationBarrier: (_, [x]) => [x],
  convertElementType: (g, [x], { dtype }) => [g.cast(x, dtype)],
  bitcastConvertType: unsupported('bitcastConvertType'),
  add: elementwise('Add'), sub: elementwise('Sub'), mul: elementwise('Mul'), div: elementwise('Div'), rem, pow: elementwise('Pow'),
  max: elementwise('Max'), min: elementwise('Min'), atan2: unsupported('atan2'),
  and: logical('And', 'BitwiseAnd'), or: logical('Or', 'BitwiseOr'), xor: logical('Xor', 'BitwiseXor'),
  shiftLeft: unsupported('shiftLeft'), shiftRightLogical: unsupported('shiftRightLogical'), shiftRightArithmetic: unsupported('shiftRightArithmetic'),
  eq: compare('Equal'), ne: compare('Equal', true), lt: compare('Less'), le: compare('LessOrEqual'), gt: compare('Greater'), ge: compare('GreaterOrEqual'),
  select,
  broadcastInDim: (g, [x], { shape, dims }) => [g.reshape(x, shape.map((_, i) => (dims.includes(i) ? x.shape[dims.indexOf(i)] : 1)))],
  reshape: (g, [x], { shape }, [a]) => [g.reshape(g.expand(x, a.shape), shape)],
  transpose: (g, [x], { perm }) => [g.transpose(x, perm)],
  concatenate: (g, inputs, { axis }, ins, [out]) => [g.node('Concat', inputs.map((x, i) => g.expand(x, ins[i].shape)), out.dtype, out.shape, { axis })],
  pad,
  slice: (g, [x], { start, limit, strides }, [a], [out]) =>
    [g.node('Slice', [g.expand(x, a.shape), g.ints(start), g.ints(limit), g.ints(range(a.shape.length)), g.ints(strides)], out.dtype, out.shape)],
  rev: (g, [x], { axes }, [a], [out]) =>
    [g.node('Slice', [g.expand(x, a.shape), g.ints(axes.map(() => -1)), g.ints(axes.map(() => -(2 ** 31))), g.ints(axes), g.ints(axes.map(() => -1))], out.dtype, out.shape)],
  iota: (g, _, { dtype, shape, axis }) => [g.numbers(dtype, shape.map((d, i) => (i === axis ? d : 1)), range(shape[axis]))],
  dynamicSlice: (g, [x, ...starts], { sizes }, [a], [out]) => {
    const from = windowStarts(g, starts, a.shape, sizes)
    const to = g.node('Add', [from, g.ints(sizes)], 'int64', from.shape)
    return [g.node('Slice', [g.expand(x, a.shape), from, to], out.dtype, out.shape)]
  },
  dynamicUpdateSlice: (g, [x, update, ...starts], _, [a, au], [out]) => {
    // Every element's place in the operand, as offsets of the window plus its start.
    const from = windowStarts(g, starts, a.shape, au.shape)
    const strides = stridesOf(a.shape)
    const offset = g.node('ReduceSum', [g.node('Mul', [from, g.ints(strides)], 'int64', from.shape), g.ints([0])], 'int64', [], { keepdims: 0 })
    const places = range(sizeOf(au.shape)).map(i => stridesOf(au.shape).reduce((sum, s, axis) => sum + (Math.floor(i / s) % au.shape[axis]) * strides[axis], 0))
    const at = g.node('Add', [g.ints(places), offset], 'int64', [places.length])
    const flat = g.reshape(g.expand(x, a.shape), [sizeOf(a.shape)])
    const written = g.node('ScatterElements', [flat, at, g.reshape(g.expand(update, au.shape), [places.length])], out.dtype, flat.shape, { axis: 0 })
    return [g.reshape(written, out.shape)]
  },
  reduceSum: reduce('ReduceSum'), reduceMax: reduce('ReduceMax'), reduceMin: reduce('ReduceMin'), reduceProd: reduce('ReduceProd'),
  reduceAnd: reduceBool('ReduceMin'), reduceOr: reduceBool('ReduceMax'),
  argmax: argBest('ArgMax'), argmin: argBest('ArgMin'),
  cumsum: (g, [x], { axis, reverse }, [a], [out]) =>
    [g.node('CumSum', [g.expand(x, a.shape), g.scalar('int64', axis)], out.dtype, out.shape, { reverse: Number(reverse) })],
  dotGeneral,
  gather,
  scatter: scatter('none'),
  scatterAdd: scatter('add'),
  sort: unsupported('sort'),
  topK: (g, [x], { k }, [a], outs) => {
    const [values, indices] = g.several('TopK', [g.expand(x, a.shape), g.ints([k])], [outs[0], { dtype: 'int64', shape: outs[1].shape }], { axis: -1 })
    return [values, g.cast(indices, 'int32')]
  },
  threefry2x32: unsupported('threefry2x32'),
  call: inline,
  composite: inline,
  linearCall: inline,
  scan: unsupported('scan'),
  while: unsupported('while'),
  cond: unsupported('cond'),
}
