import { sizeOf } from '../../../base/host-tensor.js'
import type { Program } from '../../program/program.js'
import type { Arena, Block } from './arena.js'
import { compileLoop } from './codegen.js'

type LoopFunction = (end: number, ...operands: number[]) => void

/** A compiled element-wise loop. It runs on whichever arena its arrays lie in. */
export class Loop {
  private readonly module: WebAssembly.Module
  private readonly onArena = new WeakMap<Arena, LoopFunction>()

  constructor(program: Program) {
    this.module = new WebAssembly.Module(compileLoop(program))
  }

  /** Runs over arrays of a shape: inputs, then outputs, all in one arena. */
  run(shape: readonly number[], arrays: readonly Block[], scalars: readonly number[]): void {
    const { arena } = arrays[0]
    let f = this.onArena.get(arena)
    if (!f) {
      f = new WebAssembly.Instance(this.module, { env: { memory: arena.memory } }).exports.loop as LoopFunction
      this.onArena.set(arena, f)
    }
    f(4 * sizeOf(shape), ...arrays.map(b => b.offset), ...scalars)
  }
}

/** Loops by their programs: the parameters of a model mostly share one. */
export class Loops {
  private readonly known = new Map<string, Loop>()

  /** The loop of a program. The shape does not matter to the code, only which operands are scalars. */
  of(program: Program): Loop {
    const key = program.toString().replaceAll(/\[[\d,]+\]|shape=\([\d,]*\)/g, '[n]')
    let loop = this.known.get(key)
    if (!loop) this.known.set(key, (loop = new Loop(program)))
    return loop
  }
}
