import type { HostTensor } from '../../../base/host-tensor.js'
import { Program } from '../../program/program.js'
import { simplify } from '../../transform/simplify.js'
import type {
  Backend,
  Buffer,
  Compilation,
  CompiledWithWeights,
  Executable,
  ExecutableStats,
  ProgramsAtSizes,
} from '../backend.js'
import { cutGenerated } from '../generated.js'
import type { Generated } from '../generated.js'
import { cutUpdate } from '../segments.js'
import type { Segments } from '../segments.js'
import { withWeights } from '../with-weights.js'
import { loopLimits } from '../wasm/codegen.js'
import { Generators } from '../wasm/generator.js'
import { generatorLimits } from '../wasm/generator-code.js'
import { Loops } from '../wasm/loop.js'
import { HostBuffer, StateMemory } from './buffer.js'
import { embedWeights } from './embed-weights.js'
import { OnnxExecutable } from './executable.js'
import type { SpareMemory } from './executable.js'
import { generalize } from './generalize.js'
import { atBoundary, bytesOfAval, toGraph, toGraphInChunks } from './model.js'
import { allNodes } from './nodes.js'
import type { GraphInfo } from './proto.js'
import { expandRaggedDots } from './ragged-dot.js'
import type { SessionFactory } from './session.js'

/**
 * The backend that compiles a program to one ONNX graph, run by ONNX Runtime. Two parts of a program are WebAssembly
 * loops instead: random numbers, generated before the graph runs, and updates of donated state, written in place after
 * it. State moves into an arena when it is first donated, and stays there.
 */
export class OnnxBackend implements Backend {
  readonly name = 'onnx'
  private readonly memory = new StateMemory()
  private readonly loops = new Loops()
  private readonly generators = new Generators()

  constructor(private readonly sessions: SessionFactory) {}

  describe(): Promise<string> {
    return this.sessions.describe()
  }

  put(tensor: HostTensor): Buffer {
    return new HostBuffer({ dtype: tensor.dtype, shape: tensor.shape }, tensor)
  }

  async compile(program: Program, donated: readonly boolean[] = []): Promise<Executable> {
    const { generated, segments, graph, stats } = this.write(program, donated)
    const session =
      segments.main.outputs.length === 0
        ? null
        : await this.sessions.create(graph, { keepMemory: segments.loops.length > 0 })
    return new OnnxExecutable(this.memory, this.loops, session, segments, stats, donated, undefined, {
      ...generated,
      loops: generated.loops.map(loop => this.generators.of(loop)),
    })
  }

  explain(program: Program, donated: readonly boolean[] = []): Compilation {
    const { simple, generated, segments, graph, stats } = this.write(program, donated)
    return {
      program: simple,
      generators: generated.loops,
      loops: segments.loops.map(loop => loop.program),
      inPlaceArrays: segments.loops.flatMap(l => l.inPlace).filter(v => v !== null).length,
      nodes: graph.nodes.map(({ op, inputs, outputs }) => ({
        operation: op,
        text: `${outputs.join(' ')} = ${op} ${inputs.join(' ')}`,
      })),
      stats,
    }
  }

  /** Compiles a program as far as the graph: without a session, and without the loops' code. */
  private write(
    program: Program,
    donated: readonly boolean[],
  ): { simple: Program; generated: Generated; segments: Segments; graph: GraphInfo; stats: ExecutableStats } {
    const simple = simplify(program)
    const generated = cutGenerated(simple, generatorLimits)
    const segments = { ...cutUpdate(generated.rest, donated, loopLimits), outputs: simple.outputs }
    const graph = expandRaggedDots(toGraphInChunks(segments.main))
    const stats = {
      nodes: allNodes(graph.nodes).length,
      generators: generated.loops.length,
      fusedLoops: segments.loops.length,
      inPlaceBytes: segments.loops.flatMap(l => l.inPlace).reduce((n, v) => n + (v ? bytesOfAval(v.aval) : 0), 0),
      weightBytes: 0,
    }
    return { simple, generated, segments, graph, stats }
  }

  async compileWithWeights(
    examples: ProgramsAtSizes,
    weights: readonly (Buffer | null)[],
    donated: readonly boolean[] = [],
  ): Promise<CompiledWithWeights> {
    const general = generalize(examples.map(program => toGraph(simplify(program))))
    // No general graph can be made of the examples: each size gets its own session, which has no copies of the weights.
    if (!general) return this.eachSize(weights, donated)
    const {
      graph: withEmbedded,
      kept,
      copied,
      weightBytes,
    } = embedWeights(
      general,
      weights.map(b => (b ? atBoundary((b as HostBuffer).tensor) : null)),
    )
    const graph = expandRaggedDots(withEmbedded)
    const session = await this.sessions.create(graph, { keepMemory: true })
    const stats = { nodes: graph.nodes.length, generators: 0, fusedLoops: 0, inPlaceBytes: 0, weightBytes }
    const keptOf = <T>(all: readonly T[]): T[] => kept.map(i => all[i])
    const inputs = inputsOf(kept, weights)
    const spare: SpareMemory = new Map()
    return {
      copied,
      at: async program => {
        const main = new Program(keptOf(program.inputs), program.equations, program.outputs)
        const segments = { main, outputs: main.outputs, loops: [] }
        const executable = new OnnxExecutable(this.memory, this.loops, session, segments, stats, keptOf(donated), spare)
        return {
          stats,
          run: (others, written) =>
            executable.run(
              inputs.map(({ buffer, position }) => buffer ?? others[position]),
              written,
            ),
          // All sizes share the session.
          release: async () => undefined,
        }
      },
    }
  }

  private eachSize(weights: readonly (Buffer | null)[], donated: readonly boolean[]): CompiledWithWeights {
    return { copied: [], at: async program => withWeights(await this.compile(program, donated), weights) }
  }
}

/**
 * The source of each input that is left in the graph: a weight's buffer, or a position among the inputs that are not
 * weights. (This is not a closure in `compileWithWeights`, which would keep all weights alive, also those that the
 * session has copied.)
 */
function inputsOf(
  kept: readonly number[],
  weights: readonly (Buffer | null)[],
): { buffer: Buffer | null; position: number }[] {
  const others = new Map(weights.flatMap((b, i) => (b ? [] : i)).map((input, position) => [input, position]))
  return kept.map(i => ({ buffer: weights[i], position: others.get(i) ?? -1 }))
}
