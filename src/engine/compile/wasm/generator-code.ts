import { dtypes } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import { is } from '../../program/program.js'
import type { Atom, Program } from '../../program/program.js'
import type { GeneratorLimits } from '../generated.js'
import { encodeModule, F32, get, I32, i32Add, i32Const, repeat, simd } from './encoding.js'
import { isFilled, isPositions, literalsOf, literalVector, ruleOf } from './equations.js'
import { f32x4, i16x8, i32x4, i8x16, v128 } from './instructions.js'
import { Vectors } from './vectors.js'
import type { Vector } from './vectors.js'

/** The most outputs of one generator. */
export const MAX_OUTPUTS = 16

/**
 * What one generated loop may be. From one vector on it is faster than ONNX Runtime, which takes 100 us for the nodes
 * of one draw.
 */
export const generatorLimits: GeneratorLimits = {
  canGenerate: program => {
    const literalOf = literalsOf(program.equations)
    return eqn => isPositions(eqn) || isFilled(eqn) || (!is(eqn, 'broadcastInDim') && ruleOf(eqn, literalOf) !== null)
  },
  minElements: 4,
  maxOutputs: MAX_OUTPUTS,
  maxEquations: 500,
}

/**
 * A WebAssembly module with one function, `loop(start, length, pointers..., scalars...)`: writes elements `start` to
 * `start + length` of each output, four at a time, to its pointer on. Up to three elements more are written than asked
 * for.
 */
export function compileGenerator(program: Program): Uint8Array<ArrayBuffer> {
  const { inputs, outputs, equations } = program
  const [start, length, firstPointer] = [0, 1, 2]
  const firstScalar = firstPointer + outputs.length
  const params = [I32, I32, ...outputs.map(() => I32), ...inputs.map(v => (v.aval.dtype === 'float32' ? F32 : I32))]
  const b = new Vectors(params.length)
  const index = b.local(I32)
  const vectors = new Map<Atom, Vector>()
  inputs.forEach((v, i) => {
    const splat = v.aval.dtype === 'float32' ? f32x4.splat : i32x4.splat
    vectors.set(v, b.hoisted([...get(firstScalar + i), ...simd(splat)]))
  })
  const read = (a: Atom): Vector => vectors.get(a) ?? literalVector(b, a)
  const literalOf = literalsOf(equations)
  for (const eqn of equations) {
    if (isPositions(eqn)) {
      const first = b.computed([...get(start), ...get(index), ...i32Add, ...simd(i32x4.splat)])
      vectors.set(eqn.outputs[0], b.op(i32x4.add, [first, b.lanes([0, 1, 2, 3])]))
    } else if (isFilled(eqn)) vectors.set(eqn.outputs[0], read(eqn.inputs[0]))
    else ruleOf(eqn, literalOf)!(b, eqn.inputs.map(read)).forEach((vector, i) => vectors.set(eqn.outputs[i], vector))
  }
  outputs.forEach((o, i) => store(b, read(o), o.aval.dtype, firstPointer + i, index))
  return encodeModule(params, b.locals, [...b.before, ...repeat(index, 4, length, b.body)])
}

/** Stores four lanes as elements of a dtype. */
function store(b: Vectors, vector: Vector, dtype: DType, pointer: number, index: number): void {
  const { bytes } = dtypes[dtype]
  const address = [...get(pointer), ...get(index), ...i32Const(Math.log2(bytes)), 0x74, ...i32Add]
  const lanes = dtype === 'bool' ? b.op(v128.and, [vector, b.integer(1)]) : vector
  if (bytes === 4) {
    b.body.push(...address, ...get(lanes), ...simd(v128.store), 4, 0)
    return
  }
  const halves = b.op(i16x8.narrowI32x4U, [lanes, lanes])
  const narrow = bytes === 2 ? halves : b.op(i8x16.narrowI16x8U, [halves, halves])
  const opcode = bytes === 2 ? v128.store64Lane : v128.store32Lane
  b.body.push(...address, ...get(narrow), ...simd(opcode), bytes, 0, 0)
}
