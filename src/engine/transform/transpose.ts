import { SwitchyardError } from '../../base/errors.js'
import type { Aval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import type { PrimitiveName, PrimitiveParams } from '../program/primitives.js'
import { Lit, Var } from '../program/program.js'
import type { Atom, Equation, Program } from '../program/program.js'
import { bind } from '../program/trace.js'
import { Literal } from '../program/value.js'
import type { Value } from '../program/value.js'

/** An operand of a linear equation: a known value, or the type of one that a cotangent flows back to. */
type Operand = { known: Value } | { linear: Aval }

/** A cotangent, or null for one that is known to be zero. */
export type Cotangent = Value | null

type TransposeRule<P extends PrimitiveName> = (cotangent: Value, operands: readonly Operand[], params: PrimitiveParams[P]) => Cotangent[]

/**
 * Runs a program that is linear in some of its inputs backwards: cotangents of its outputs to cotangents of those
 * inputs. Equations that do not depend on a linear input are applied first, in order.
 */
export function transposeEval(program: Program, inputs: readonly (Value | null)[], cotangents: readonly Cotangent[]): Cotangent[] {
  const known = new Map<Var, Value>()
  const pending: Equation[] = []
  program.inputs.forEach((v, i) => { if (inputs[i] !== null) known.set(v, inputs[i]) })
  const value = (a: Atom): Value | undefined => (a instanceof Lit ? new Literal(a.value, a.aval.dtype) : known.get(a))
  for (const eqn of program.equations) {
    const values = eqn.inputs.map(value)
    if (values.some(v => v === undefined)) pending.push(eqn)
    else bind(eqn.primitive, values as Value[], eqn.params).forEach((y, i) => known.set(eqn.outputs[i], y))
  }

  const flowing = new Map<Var, Value>()
  const accumulate = (a: Atom, ct: Cotangent): void => {
    if (ct === null || a instanceof Lit || known.has(a)) return
    const sofar = flowing.get(a)
    flowing.set(a, sofar ? ops.add(sofar, ct) : ct)
  }
  program.outputs.forEach((o, i) => accumulate(o, cotangents[i]))
  for (const eqn of pending.toReversed()) {
    const ct = flowing.get(eqn.outputs[0])
    if (ct === undefined) continue
    const operands = eqn.inputs.map((a): Operand => {
      const v = value(a)
      return v === undefined ? { linear: a.aval } : { known: v }
    })
    applyRule(eqn.primitive, ct, operands, eqn.params).forEach((c, i) => accumulate(eqn.inputs[i], c))
  }
  return program.inputs.map((v, i) => (inputs[i] === null ? flowing.get(v) ?? null : null))
}

function applyRule<P extends PrimitiveName>(primitive: P, ct: Value, operands: readonly Operand[], params: PrimitiveParams[P]): Cotangent[] {
  const rule = transposeRules[primitive] as TransposeRule<P> | undefined
  if (!rule) throw new SwitchyardError(`${primitive} is not linear, so it has no transpose`)
  return rule(ct, operands, params)
}

/** The primitives that are linear in an operand: what jvp's rules leave on the way of a tangent. */
type LinearPrimitive =
  | 'neg' | 'optimizationBarrier' | 'convertElementType' | 'add' | 'sub' | 'mul' | 'div' | 'select' | 'broadcastInDim' | 'reshape' | 'transpose' | 'concatenate'
  | 'pad' | 'slice' | 'rev' | 'dynamicSlice' | 'dynamicUpdateSlice' | 'reduceSum' | 'cumsum' | 'dotGeneral' | 'gather' | 'scatterAdd'

const isLinear = (o: Operand): o is { linear: Aval } => 'linear' in o
const avalOf = (o: Operand): Aval => (isLinear(o) ? o.linear : o.known.aval)
const zeros = (a: Aval): Value => ops.full(a.shape, 0, a.dtype)
const valueOf = (o: Operand): Value => {
  if (isLinear(o)) throw new Error('a product of two tangents is not linear')
  return o.known
}
const inverse = (perm: readonly number[]): number[] => perm.map((_, i) => perm.indexOf(i))

const transposeRules: { [P in LinearPrimitive]: TransposeRule<P> } & { [P in PrimitiveName]?: TransposeRule<P> } = {
  neg: ct => [ops.neg(ct)],
  optimizationBarrier: ct => [ops.optimizationBarrier(ct)],
  convertElementType: (ct, [x]) => [ops.convertElementType(ct, avalOf(x).dtype)],
  add: (ct, operands) => operands.map(o => (isLinear(o) ? ct : null)),
  sub: (ct, [x, y]) => [isLinear(x) ? ct : null, isLinear(y) ? ops.neg(ct) : null],
  mul: (ct, [x, y]) => (isLinear(x) ? [ops.mul(ct, valueOf(y)), null] : [null, ops.mul(valueOf(x), ct)]),
  div: (ct, [, y]) => [ops.div(ct, valueOf(y)), null],
  select: (ct, [condition, x, y]) => {
    const c = valueOf(condition)
    return [null, isLinear(x) ? ops.select(c, ct, 0) : null, isLinear(y) ? ops.select(c, 0, ct) : null]
  },
  broadcastInDim: (ct, [x], { shape, dims }) => {
    const a = avalOf(x)
    // Summed: new axes, and axes that were stretched from 1 (these come back by the reshape).
    const axes = ops.range(shape.length).filter(i => !dims.includes(i) || a.shape[dims.indexOf(i)] !== shape[i])
    return [ops.reshape(ops.reduceSum(ct, axes), a.shape)]
  },
  reshape: (ct, [x]) => [ops.reshape(ct, avalOf(x).shape)],
  transpose: (ct, _, { perm }) => [ops.transpose(ct, inverse(perm))],
  concatenate: (ct, operands, { axis }) => {
    let offset = 0
    return operands.map(o => {
      const size = avalOf(o).shape[axis]
      const start = ct.shape.map((_, i) => (i === axis ? offset : 0))
      offset += size
      return isLinear(o) ? ops.slice(ct, start, ct.shape.map((d, i) => (i === axis ? offset : d))) : null
    })
  },
  pad: (ct, [x, value], { low, high, interior }) => {
    // Padding by the negated amounts brings the operand's window back, then the interior is stepped over.
    const shape = avalOf(x).shape
    const zero = zeros({ dtype: ct.dtype, shape: [] })
    const window = ops.pad(ct, zero, low.map(n => -n), high.map(n => -n))
    const back = ops.slice(window, shape.map(() => 0), window.shape, interior.map(n => n + 1))
    const total = isLinear(value) ? ops.sub(ops.reduceSum(ct, ops.range(ct.ndim)), ops.reduceSum(back, ops.range(ct.ndim))) : null
    return [isLinear(x) ? back : null, total]
  },
  slice: (ct, [x], { start, strides }) => {
    const { shape, dtype } = avalOf(x)
    const high = shape.map((d, i) => d - start[i] - (ct.shape[i] === 0 ? 0 : (ct.shape[i] - 1) * strides[i] + 1))
    return [ops.pad(ct, zeros({ dtype, shape: [] }), start, high, strides.map(s => s - 1))]
  },
  rev: (ct, _, { axes }) => [ops.rev(ct, axes)],
  dynamicSlice: (ct, [x, ...starts]) => [ops.dynamicUpdateSlice(zeros(avalOf(x)), ct, starts.map(valueOf)), ...starts.map(() => null)],
  dynamicUpdateSlice: (ct, [x, update, ...starts]) => {
    const at = starts.map(valueOf)
    return [
      isLinear(x) ? ops.dynamicUpdateSlice(ct, zeros(avalOf(update)), at) : null,
      isLinear(update) ? ops.dynamicSlice(ct, at, avalOf(update).shape) : null,
      ...starts.map(() => null),
    ]
  },
  reduceSum: (ct, [x], { axes }) => {
    const { shape } = avalOf(x)
    return [ops.broadcastInDim(ct, shape, ops.range(shape.length).filter(i => !axes.includes(i)))]
  },
  cumsum: (ct, _, { axis, reverse }) => [ops.cumsum(ct, axis, !reverse)],
  dotGeneral: (ct, [x, y], { contract: [cx, cy], batch: [bx, by] }) =>
    isLinear(x)
      ? [dotTranspose(ct, avalOf(x), valueOf(y), cx, cy, bx, by, false), null]
      : [null, dotTranspose(ct, avalOf(y), valueOf(x), cy, cx, by, bx, true)],
  gather: (ct, [x, indices], params) =>
    [ops.scatterAdd(zeros(avalOf(x)), valueOf(indices), ct, params.mode === 'fill' ? { ...params, mode: 'drop' } : params), null],
  scatterAdd: (ct, [x, indices, updates], params) => [
    isLinear(x) ? ct : null,
    null,
    isLinear(updates) ? ops.gather(ct, valueOf(indices), params.mode === 'drop' ? { ...params, mode: 'fill' } : params) : null,
  ],
}

/**
 * The cotangent of one operand of a dot: the output's cotangent dotted with the other operand over the other's free
 * axes, its axes then put back in the operand's order. `second`: whether the operand is the right one.
 */
function dotTranspose(
  ct: Value, operand: Aval, other: Value,
  contract: readonly number[], otherContract: readonly number[], batch: readonly number[], otherBatch: readonly number[], second: boolean,
): Value {
  const free = ops.range(operand.shape.length).filter(i => !contract.includes(i) && !batch.includes(i))
  const otherFree = ops.range(other.ndim).filter(i => !otherContract.includes(i) && !otherBatch.includes(i))
  const ctBatch = ops.range(batch.length)
  const ctOther = ops.range(otherFree.length, second ? batch.length : batch.length + free.length)
  const product = ops.dotGeneral(ct, other, { contract: [ctOther, otherFree], batch: [ctBatch, otherBatch] })
  // The product's axes: batch, the operand's free axes, then the other's contracted axes in their own order.
  const contractInOrder = otherContract.toSorted((a, b) => a - b).map(axis => contract[otherContract.indexOf(axis)])
  return ops.transpose(product, inverse([...batch, ...free, ...contractInOrder]))
}
