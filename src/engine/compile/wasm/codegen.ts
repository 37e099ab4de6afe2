import type { LoopLimits } from '../segments.js'
import type { PrimitiveName } from '../../program/primitives.js'
import { is, Lit } from '../../program/program.js'
import type { Atom, Equation, Program, Var } from '../../program/program.js'
import { MAX_TOGETHER } from './arena.js'

/** Opcodes after the SIMD prefix 0xfd (WebAssembly specification, appendix "Index of Instructions"). */
const simd: { readonly [P in PrimitiveName]?: number } = {
  add: 0xe4,
  sub: 0xe5,
  mul: 0xe6,
  div: 0xe7,
  min: 0xe8,
  max: 0xe9,
  abs: 0xe0,
  neg: 0xe1,
  sqrt: 0xe3,
  ceil: 0x67,
  floor: 0x68,
  round: 0x6a,
  eq: 0x41,
  ne: 0x42,
  lt: 0x43,
  gt: 0x44,
  le: 0x45,
  ge: 0x46,
}
const LOAD = 0x00,
  STORE = 0x0b,
  SPLAT_F32 = 0x13,
  BITSELECT = 0x52
const I32 = 0x7f,
  F32 = 0x7d,
  V128 = 0x7b

/** Whether a loop can compute an equation: float32, or the comparisons and selections between. */
export function canFuse(eqn: Equation): boolean {
  const types = [...eqn.inputs, ...eqn.outputs].map(a => a.aval.dtype)
  if (is(eqn, 'select')) return types[1] === 'float32' && types[0] === 'bool'
  if (is(eqn, 'stopGradient') || is(eqn, 'rsqrt')) return types[0] === 'float32'
  return simd[eqn.primitive] !== undefined && eqn.inputs.every(a => a.aval.dtype === 'float32')
}

/** What one generated loop may be. V8 allows a function 1,000 parameters and 50,000 locals. */
export const loopLimits: LoopLimits = { canFuse, maxBytes: MAX_TOGETHER, maxOperands: 900, maxEquations: 2_000 }

/**
 * A WebAssembly module with one function, `loop(end, pointers..., scalars...)`: computes an element-wise program four elements at
 * a time. `end` counts bytes; pointers of the array inputs, then of the outputs; scalars are float32. All loads of a step come
 * before its stores, so an output may take the place of an input.
 */
export function compileLoop(program: Program): Uint8Array<ArrayBuffer> {
  const arrays = program.inputs.filter(v => v.aval.shape.length > 0)
  const scalars = program.inputs.filter(v => v.aval.shape.length === 0)
  const pointers = arrays.length + program.outputs.length
  const params = [I32, ...Array<number>(pointers).fill(I32), ...scalars.map(() => F32)]
  const body = new LoopBody(params.length)
  const index = body.local(I32)
  arrays.forEach((v, i) =>
    body.define(v, () => {
      body.code.push(...get(index), ...get(1 + i), 0x6a, 0xfd, ...leb(LOAD), 4, 0)
    }),
  )
  scalars.forEach((v, i) => body.splat(v, get(1 + pointers + i)))

  // Before the loop: scalars spread over a vector. In the loop: loads, equations, stores.
  const before = body.hoisted
  for (const eqn of program.equations) body.equation(eqn)
  program.outputs.forEach((o, i) => {
    body.code.push(...get(index), ...get(1 + arrays.length + i), 0x6a)
    body.read(o)
    body.code.push(0xfd, ...leb(STORE), 4, 0)
  })
  const step = [...get(index), 0x41, ...sleb(16), 0x6a, 0x22, ...leb(index), ...get(0), 0x49, 0x0d, 0]
  const code = [...before, 0x03, 0x40, ...body.code, ...step, 0x0b, 0x0b]
  const locals = body.locals.flatMap(t => [1, t])
  const func = [...leb(body.locals.length), ...locals, ...code]
  return new Uint8Array([
    0x00,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, [1, 0x60, ...leb(params.length), ...params, 0]),
    ...section(2, [1, ...text('env'), ...text('memory'), 0x02, 0x00, 0]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...text('loop'), 0x00, 0]),
    ...section(10, [1, ...leb(func.length), ...func]),
  ])
}

class LoopBody {
  readonly locals: number[] = []
  readonly hoisted: number[] = []
  code: number[] = []
  private readonly where = new Map<Atom, number>()
  /** By value, -0 apart from 0. */
  private readonly literals = new Map<string, number>()

  constructor(private readonly numParams: number) {}

  local(type: number): number {
    return this.numParams + this.locals.push(type) - 1
  }

  /** Gives a value a local, which `compute` leaves on the stack. */
  define(v: Var, compute: () => void): void {
    compute()
    const local = this.local(V128)
    this.code.push(0x21, ...leb(local))
    this.where.set(v, local)
  }

  /** A scalar that the code pushes, spread over a vector once, before the loop. */
  splat(v: Var, push: readonly number[]): void {
    this.where.set(v, this.hoist(push))
  }

  private hoist(push: readonly number[]): number {
    const local = this.local(V128)
    this.hoisted.push(...push, 0xfd, ...leb(SPLAT_F32), 0x21, ...leb(local))
    return local
  }

  read(a: Atom): void {
    if (a instanceof Lit) {
      const value = Math.fround(Number(a.value))
      const key = Object.is(value, -0) ? '-0' : String(value)
      let local = this.literals.get(key)
      if (local === undefined)
        this.literals.set(key, (local = this.hoist([0x43, ...new Uint8Array(new Float32Array([value]).buffer)])))
      this.code.push(...get(local))
    } else {
      this.code.push(...get(this.where.get(a)!))
    }
  }

  equation(eqn: Equation): void {
    const [output] = eqn.outputs
    if (is(eqn, 'broadcastInDim') || is(eqn, 'stopGradient')) {
      this.define(output, () => this.read(eqn.inputs[0]))
    } else if (is(eqn, 'select')) {
      const [condition, x, y] = eqn.inputs
      this.define(output, () => {
        for (const a of [x, y, condition]) this.read(a)
        this.code.push(0xfd, ...leb(BITSELECT))
      })
    } else if (is(eqn, 'rsqrt')) {
      this.define(output, () => {
        this.read(new Lit(1, 'float32'))
        this.read(eqn.inputs[0])
        this.code.push(0xfd, ...leb(simd.sqrt!), 0xfd, ...leb(simd.div!))
      })
    } else {
      this.define(output, () => {
        eqn.inputs.forEach(a => this.read(a))
        this.code.push(0xfd, ...leb(simd[eqn.primitive]!))
      })
    }
  }
}

const get = (local: number): number[] => [0x20, ...leb(local)]
const text = (s: string): number[] => [s.length, ...Array.from(s, c => c.charCodeAt(0))]
const section = (id: number, bytes: readonly number[]): number[] => [id, ...leb(bytes.length), ...bytes]

/** LEB128, unsigned and signed. */
function leb(n: number): number[] {
  return n < 0x80 ? [n] : [(n & 0x7f) | 0x80, ...leb(n >>> 7)]
}
function sleb(n: number): number[] {
  return n >= -64 && n < 64 ? [n & 0x7f] : [(n & 0x7f) | 0x80, ...sleb(n >> 7)]
}
