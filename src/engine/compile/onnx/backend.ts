import type { HostTensor } from '../../../base/tensor.js'
import type { Program } from '../../program/program.js'
import { simplify } from '../../transform/simplify.js'
import type { Backend, Buffer, Executable } from '../backend.js'
import { cutUpdate } from '../segments.js'
import { MAX_TOGETHER } from '../wasm/arena.js'
import { canFuse } from '../wasm/codegen.js'
import { Loops } from '../wasm/loop.js'
import { HostBuffer, StateMemory } from './buffer.js'
import { OnnxExecutable } from './executable.js'
import { bytesOfAval, toGraph } from './model.js'
import type { SessionFactory } from './session.js'

/**
 * The backend that compiles a program to one ONNX graph, run by ONNX Runtime, and its update of donated state to WebAssembly
 * loops in place. State moves into an arena when it is first donated and stays there.
 */
export class OnnxBackend implements Backend {
  readonly name = 'onnx'
  private readonly memory = new StateMemory()
  private readonly loops = new Loops()

  constructor(private readonly sessions: SessionFactory) {}

  describe(): Promise<string> { return this.sessions.describe() }

  put(tensor: HostTensor): Buffer { return new HostBuffer({ dtype: tensor.dtype, shape: tensor.shape }, tensor) }

  async compile(program: Program, donated: readonly boolean[] = []): Promise<Executable> {
    const segments = cutUpdate(simplify(program), donated, { canFuse, maxBytes: MAX_TOGETHER })
    const graph = toGraph(segments.main)
    const session = segments.main.outputs.length === 0 ? null : await this.sessions.create(graph, { keepMemory: segments.loops.length > 0 })
    const stats = {
      nodes: graph.nodes.length,
      fusedLoops: segments.loops.length,
      inPlaceBytes: segments.loops.flatMap(l => l.inPlace).reduce((n, v) => n + (v ? bytesOfAval(v.aval) : 0), 0),
    }
    return new OnnxExecutable(this.memory, this.loops, session, segments, stats, donated)
  }
}
