/** Element-wise equations as vector instructions. */
import type { DType } from '../../../base/dtypes.js'
import { sizeOf } from '../../../base/host-tensor.js'
import type { PrimitiveName } from '../../program/primitives.js'
import { is, Lit } from '../../program/program.js'
import type { Atom, Equation } from '../../program/program.js'
import * as functions from './functions.js'
import { f32x4, i32x4, v128 } from './instructions.js'
import type { Vector, Vectors } from './vectors.js'

/** The dtypes that a loop computes with: four lanes of a vector each. */
export type LaneType = 'float32' | 'int32' | 'uint32' | 'bool'

type Opcodes = { readonly [P in PrimitiveName]?: number }

const bitwise: Opcodes = { and: v128.and, or: v128.or, xor: v128.xor, not: v128.not }
const integer: Opcodes = {
  ...bitwise,
  neg: i32x4.neg,
  add: i32x4.add,
  sub: i32x4.sub,
  mul: i32x4.mul,
  eq: i32x4.eq,
  ne: i32x4.ne,
}

/** Primitives that are one instruction, by the dtype of their operands. */
const opcodes: { readonly [D in LaneType]: Opcodes } = {
  float32: {
    neg: f32x4.neg,
    abs: f32x4.abs,
    floor: f32x4.floor,
    ceil: f32x4.ceil,
    round: f32x4.nearest,
    sqrt: f32x4.sqrt,
    add: f32x4.add,
    sub: f32x4.sub,
    mul: f32x4.mul,
    div: f32x4.div,
    min: f32x4.min,
    max: f32x4.max,
    eq: f32x4.eq,
    ne: f32x4.ne,
    lt: f32x4.lt,
    le: f32x4.le,
    gt: f32x4.gt,
    ge: f32x4.ge,
  },
  int32: {
    ...integer,
    abs: i32x4.abs,
    min: i32x4.minS,
    max: i32x4.maxS,
    lt: i32x4.ltS,
    le: i32x4.leS,
    gt: i32x4.gtS,
    ge: i32x4.geS,
  },
  uint32: {
    ...integer,
    min: i32x4.minU,
    max: i32x4.maxU,
    lt: i32x4.ltU,
    le: i32x4.leU,
    gt: i32x4.gtU,
    ge: i32x4.geU,
  },
  bool: bitwise,
}

/** Writes an equation's instructions: its operands' vectors to its results'. */
type Rule = (b: Vectors, operands: readonly Vector[]) => Vector[]

/** The number that fills an operand, if the program says so. */
export type LiteralOf = (operand: Atom) => number | null

/** How a loop over positions computes an equation, or null if it cannot. */
export function ruleOf(eqn: Equation, literalOf: LiteralOf): Rule | null {
  const from = (eqn.inputs[0] ?? eqn.outputs[0]).aval.dtype
  if (!isLaneType(from)) return null
  const opcode = opcodes[from][eqn.primitive]
  if (opcode !== undefined) return (b, operands) => [b.op(opcode, operands)]
  if (is(eqn, 'threefry2x32')) return (b, [key0, key1, high, low]) => functions.threefry2x32(b, key0, key1, high, low)
  if (is(eqn, 'select')) {
    const isLanes = isLaneType(eqn.outputs[0].aval.dtype)
    return isLanes ? (b, [condition, x, y]) => [b.where(condition, x, y)] : null
  }
  if (is(eqn, 'reshape') || is(eqn, 'stopGradient')) return (_, [x]) => [x]
  if (is(eqn, 'bitcastConvertType')) return from !== 'bool' && is32Bits(eqn.params.dtype) ? (_, [x]) => [x] : null
  if (is(eqn, 'convertElementType')) return convert(from, eqn.params.dtype)
  if (from === 'float32') {
    const f = floatFunctions[eqn.primitive]
    return f ? (b, [x]) => [f(b, x)] : null
  }
  if (is(eqn, 'rem')) return from === 'uint32' ? (b, [x, y]) => [functions.remainder(b, x, y)] : null
  const by = eqn.inputs.length === 2 ? literalOf(eqn.inputs[1]) : null
  if (by === null) return null
  const shift = shifts[eqn.primitive]
  return shift !== undefined && from !== 'bool' && by >= 0 && by < 32 ? (b, [x]) => [b.shift(shift, x, by)] : null
}

/** Whether an equation of float32 is one instruction. */
export const isOneFloatInstruction = (eqn: Equation): boolean =>
  opcodes.float32[eqn.primitive] !== undefined && eqn.inputs.every(a => a.aval.dtype === 'float32')

/** A literal in every lane. */
export function literalVector(b: Vectors, a: Atom): Vector {
  if (!(a instanceof Lit)) throw new Error('a value is read before it is made')
  const value = Number(a.value)
  if (a.aval.dtype === 'float32') return b.float(value)
  return b.integer(a.aval.dtype === 'bool' ? -value : value)
}

/** Whether an equation fills an array with a scalar. */
export const isFilled = (eqn: Equation): eqn is Equation<'broadcastInDim'> =>
  is(eqn, 'broadcastInDim') &&
  eqn.inputs[0].aval.shape.length === 0 &&
  (eqn.inputs[0] instanceof Lit ? isLaneType : is32Bits)(eqn.inputs[0].aval.dtype)

/** What fills each array that equations fill with a literal. */
export function literalsOf(equations: readonly Equation[]): LiteralOf {
  const literals = new Map<Atom, number>()
  for (const eqn of equations) {
    const [source] = eqn.inputs
    if (isFilled(eqn) && source instanceof Lit) literals.set(eqn.outputs[0], Number(source.value))
  }
  return operand => literals.get(operand) ?? null
}

/** Whether an equation numbers the elements of an array in row-major order. */
export const isPositions = (eqn: Equation): boolean =>
  is(eqn, 'iota') &&
  is32Bits(eqn.params.dtype) &&
  eqn.params.dtype !== 'float32' &&
  sizeOf(eqn.params.shape) === eqn.params.shape[eqn.params.axis]

const floatFunctions: { readonly [P in PrimitiveName]?: (b: Vectors, x: Vector) => Vector } = {
  sign: functions.sign,
  log: functions.log,
  log1p: functions.log1p,
  erfInv: functions.erfInv,
  rsqrt: (b, x) => b.op(f32x4.div, [b.float(1), b.op(f32x4.sqrt, [x])]),
}

const shifts: Opcodes = {
  shiftLeft: i32x4.shl,
  shiftRightLogical: i32x4.shrU,
  shiftRightArithmetic: i32x4.shrS,
}

const isLaneType = (dtype: DType): dtype is LaneType => dtype in opcodes
const is32Bits = (dtype: DType): boolean => dtype === 'float32' || dtype === 'int32' || dtype === 'uint32'

/** uint8 and uint16 are lanes until they are stored. */
function convert(from: LaneType, to: DType): Rule | null {
  if (from === to) return (_, [x]) => [x]
  const keep =
    (mask: number): Rule =>
    (b, [x]) => [b.op(v128.and, [x, b.integer(mask)])]
  const apply =
    (opcode: number): Rule =>
    (b, operands) => [b.op(opcode, operands)]
  switch (to) {
    case 'float32':
      if (from === 'bool') return (b, [x]) => [b.op(v128.and, [x, b.float(1)])]
      return apply(from === 'int32' ? f32x4.convertI32x4S : f32x4.convertI32x4U)
    case 'int32':
    case 'uint32':
      if (from === 'bool') return keep(1)
      if (from === 'float32') return apply(to === 'int32' ? i32x4.truncSatF32x4S : i32x4.truncSatF32x4U)
      return (_, [x]) => [x]
    case 'bool':
      if (from === 'float32') return (b, [x]) => [b.op(f32x4.ne, [x, b.float(0)])]
      return (b, [x]) => [b.op(i32x4.ne, [x, b.integer(0)])]
    case 'uint8':
      return from === 'float32' ? null : keep(from === 'bool' ? 1 : 0xff)
    case 'uint16':
      return from === 'float32' ? null : keep(from === 'bool' ? 1 : 0xffff)
    default:
      return null
  }
}
