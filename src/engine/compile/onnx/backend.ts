import type { HostTensor } from '../../../base/host-tensor.js'
import { Program } from '../../program/program.js'
import { simplify } from '../../transform/simplify.js'
import type { Backend, BoundFunction, Buffer, Examples, Executable } from '../backend.js'
import { withBound } from '../bound.js'
import { cutUpdate } from '../segments.js'
import { loopLimits } from '../wasm/codegen.js'
import { Loops } from '../wasm/loop.js'
import { bindWeights } from './bind-weights.js'
import { HostBuffer, StateMemory } from './buffer.js'
import { OnnxExecutable } from './executable.js'
import type { SpareMemory } from './executable.js'
import { generalize } from './generalize.js'
import { atBoundary, bytesOfAval, toGraph, toGraphInChunks } from './model.js'
import { expandRaggedDots } from './ragged-dot.js'
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

  describe(): Promise<string> {
    return this.sessions.describe()
  }

  put(tensor: HostTensor): Buffer {
    return new HostBuffer({ dtype: tensor.dtype, shape: tensor.shape }, tensor)
  }

  async compile(program: Program, donated: readonly boolean[] = []): Promise<Executable> {
    const segments = cutUpdate(simplify(program), donated, loopLimits)
    const graph = expandRaggedDots(toGraphInChunks(segments.main))
    const session =
      segments.main.outputs.length === 0
        ? null
        : await this.sessions.create(graph, { keepMemory: segments.loops.length > 0 })
    const stats = {
      nodes: graph.nodes.length,
      fusedLoops: segments.loops.length,
      inPlaceBytes: segments.loops.flatMap(l => l.inPlace).reduce((n, v) => n + (v ? bytesOfAval(v.aval) : 0), 0),
      boundBytes: 0,
    }
    return new OnnxExecutable(this.memory, this.loops, session, segments, stats, donated)
  }

  async bind(
    examples: Examples,
    bound: readonly (Buffer | null)[],
    donated: readonly boolean[] = [],
  ): Promise<BoundFunction> {
    const general = generalize(examples.map(program => toGraph(simplify(program))))
    // Sizes that no graph can have open: each has its own then, without copies of what is bound.
    if (!general) return this.eachSize(bound, donated)
    const {
      graph: whole,
      kept,
      copied,
      boundBytes,
    } = bindWeights(
      general,
      bound.map(b => (b ? atBoundary((b as HostBuffer).tensor) : null)),
    )
    const graph = expandRaggedDots(whole)
    const session = await this.sessions.create(graph, { keepMemory: true })
    const stats = { nodes: graph.nodes.length, fusedLoops: 0, inPlaceBytes: 0, boundBytes }
    const keptOf = <T>(all: readonly T[]): T[] => kept.map(i => all[i])
    const inputs = inputsOf(kept, bound)
    const spare: SpareMemory = new Map()
    return {
      copied,
      at: async program => {
        const main = new Program(keptOf(program.inputs), program.equations, program.outputs)
        const executable = new OnnxExecutable(
          this.memory,
          this.loops,
          session,
          { main, outputs: main.outputs, loops: [] },
          stats,
          keptOf(donated),
          spare,
        )
        return { stats, run: others => executable.run(inputs.map(({ buffer, place }) => buffer ?? others[place])) }
      },
    }
  }

  private eachSize(bound: readonly (Buffer | null)[], donated: readonly boolean[]): BoundFunction {
    return { copied: [], at: async program => withBound(await this.compile(program, donated), bound) }
  }
}

/**
 * Where each input that a graph has kept comes from: what is bound, or a place among the others. (A function of its own: one that a
 * closure of `bind` saw would keep all of `bound` alive, and with it what was copied.)
 */
function inputsOf(
  kept: readonly number[],
  bound: readonly (Buffer | null)[],
): { buffer: Buffer | null; place: number }[] {
  const others = bound.flatMap((b, i) => (b ? [] : i))
  return kept.map(i => ({ buffer: bound[i], place: others.indexOf(i) }))
}
