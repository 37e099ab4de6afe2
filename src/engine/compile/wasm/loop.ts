import { Lru } from '../../../base/lru.js'
import { sizeOf } from '../../../base/host-tensor.js'
import type { Program } from '../../program/program.js'
import type { Arena, Block } from './arena.js'
import { compileLoop } from './codegen.js'

type LoopFunction = (end: number, ...operands: number[]) => void

/** A compiled element-wise loop. It runs on any arena, the one in which its arrays lie. */
export class Loop {
  private readonly module: WebAssembly.Module
  private readonly onArena = new WeakMap<Arena, LoopFunction>()

  constructor(program: Program) {
    this.module = new WebAssembly.Module(compileLoop(program))
  }

  /** Runs over arrays of a shape: inputs, then outputs, all in one arena. */
  run(shape: readonly number[], arrays: readonly Block[], scalars: readonly number[]): void {
    this.prepare(arrays[0].arena)(4 * sizeOf(shape), ...arrays.map(b => b.offset), ...scalars)
  }

  /** The loop on an arena's memory. The first time it is instantiated, which may fail; running it cannot. */
  prepare(arena: Arena): LoopFunction {
    let f = this.onArena.get(arena)
    if (!f) {
      f = new WebAssembly.Instance(this.module, { env: { memory: arena.memory } }).exports.loop as LoopFunction
      this.onArena.set(arena, f)
    }
    return f
  }
}

/** Modules are a few kB of code each. An optimizer needs one or two for all parameters of a model. */
export const MAX_LOOPS = 256

/** Loops by their programs: the parameters of a model mostly share one. */
export class Loops {
  private readonly known = new Lru<string, Loop>(MAX_LOOPS)

  /** The loop of a program. The shape does not matter to the code, only which operands are scalars. */
  of(program: Program): Loop {
    const key = loopKey(program)
    let loop = this.known.get(key)
    if (!loop) this.known.set(key, (loop = new Loop(program)))
    return loop
  }
}

/** Equal for element-wise programs that differ in the shape of their arrays alone. */
export const loopKey = (program: Program): string =>
  program.toString().replaceAll(/\[[\d,]+\]|shape=\([\d,]*\)/g, '[n]')
