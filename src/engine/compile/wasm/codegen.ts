import { is } from '../../program/program.js'
import type { Atom, Equation, Program } from '../../program/program.js'
import type { LoopLimits } from '../segments.js'
import { MAX_TOGETHER } from './arena.js'
import { encodeModule, F32, get, I32, i32Add, repeat, simd } from './encoding.js'
import { isOneFloatInstruction, literalVector, ruleOf } from './equations.js'
import { f32x4, v128 } from './instructions.js'
import { Vectors } from './vectors.js'
import type { Vector } from './vectors.js'

/** Whether a loop can compute an equation: float32, or the comparisons and selections between. */
export function canFuse(eqn: Equation): boolean {
  const types = [...eqn.inputs, ...eqn.outputs].map(a => a.aval.dtype)
  if (is(eqn, 'select')) return types[1] === 'float32' && types[0] === 'bool'
  if (is(eqn, 'stopGradient') || is(eqn, 'rsqrt')) return types[0] === 'float32'
  return isOneFloatInstruction(eqn)
}

/** What one generated loop may be. V8 allows a function 1,000 parameters and 50,000 locals. */
export const loopLimits: LoopLimits = { canFuse, maxBytes: MAX_TOGETHER, maxOperands: 900, maxEquations: 2_000 }

/**
 * A WebAssembly module with one function, `loop(end, pointers..., scalars...)`: computes an element-wise program four
 * elements at a time. `end` counts bytes; pointers of the array inputs, then of the outputs; scalars are float32. All
 * loads of a step come before its stores, so an output may take the place of an input.
 */
export function compileLoop(program: Program): Uint8Array<ArrayBuffer> {
  const arrays = program.inputs.filter(v => v.aval.shape.length > 0)
  const scalars = program.inputs.filter(v => v.aval.shape.length === 0)
  const [end, firstPointer] = [0, 1]
  const numPointers = arrays.length + program.outputs.length
  const params = [I32, ...Array<number>(numPointers).fill(I32), ...scalars.map(() => F32)]
  const b = new Vectors(params.length)
  const index = b.local(I32)
  const vectors = new Map<Atom, Vector>()
  const read = (a: Atom): Vector => vectors.get(a) ?? literalVector(b, a)
  const address = (pointer: number): number[] => [...get(index), ...get(firstPointer + pointer), ...i32Add]
  arrays.forEach((v, i) => vectors.set(v, b.computed([...address(i), ...simd(v128.load), 4, 0])))
  scalars.forEach((v, i) => vectors.set(v, b.hoisted([...get(firstPointer + numPointers + i), ...simd(f32x4.splat)])))
  for (const eqn of program.equations) {
    const results = is(eqn, 'broadcastInDim') ? eqn.inputs.map(read) : ruleOf(eqn, () => null)!(b, eqn.inputs.map(read))
    results.forEach((vector, i) => vectors.set(eqn.outputs[i], vector))
  }
  program.outputs.forEach((o, i) =>
    b.body.push(...address(arrays.length + i), ...get(read(o)), ...simd(v128.store), 4, 0),
  )
  return encodeModule(params, b.locals, [...b.before, ...repeat(index, 16, end, b.body)])
}
