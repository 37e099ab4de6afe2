import { availableParallelism } from 'node:os'
import { parse } from 'node:path'
import type { Tensor } from 'onnxruntime-node'
import { bytesOf } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import type { FileTensor } from '../../../base/stored-tensor.js'
import { collectGarbage } from '../collect-garbage.js'
import { loadRuntime } from './load-runtime.js'
import { encodeModel, isInFile } from './proto.js'
import { sameShape } from '../../program/aval.js'
import type { GraphInfo } from './proto.js'
import type { SessionFactory } from './session.js'

/** Sessions of onnxruntime-node, which is loaded at first use. Results depend on the number of threads. */
export function nodeSessions(threads = availableParallelism()): SessionFactory {
  return {
    collectGarbage,
    threads,
    readsFiles: async () => true,
    turn: () => new Promise(resolve => setImmediate(resolve)),
    describe: async () => {
      const ort = await loadRuntime()
      return `onnxruntime-node ${ort.env.versions.node ?? ort.env.versions.common}, ${threads} threads`
    },
    create: async (graph, { keepMemory, longSpins = false, planMemory = false, oneThread = false }) => {
      const ort = await loadRuntime()
      const hasWeights = graph.weights !== undefined && graph.weights.size > 0
      const { model, inMemory, files } = placeWeights(graph)
      const session = await ort.InferenceSession.create(encodeModel(withStop(model)), {
        executionProviders: ['cpu'],
        intraOpNumThreads: oneThread ? 1 : threads,
        interOpNumThreads: 1,
        logSeverityLevel: 3,
        enableCpuMemArena: keepMemory,
        // A training step is no faster with it.
        enableMemPattern: planMemory,
        // The optimizers of the higher levels look for patterns that our graphs have only around embedded weights. For
        // a training step they take a quarter of the session's creation and make it no faster.
        graphOptimizationLevel: hasWeights ? 'all' : 'basic',
        extra: {
          session: {
            intra_op: { spin_duration_us: longSpins ? LONG_SPIN_MICROSECONDS : SPIN_MICROSECONDS },
            // Weights stay as long as the session. In the memory of intermediate values, which grows in steps of a
            // power of two, they would take a tenth more.
            use_device_allocator_for_initializers: '1',
            ...files,
          },
          optimization: {
            disable_specified_optimizers: [...OFF, ...(hasWeights ? [] : OFF_WITHOUT_WEIGHTS)].join(';'),
          },
        },
        externalData: inMemory,
      })
      // Arrays that are passed in many runs, such as weights and caches, are wrapped as ONNX Runtime's tensors once.
      const wrapped = new WeakMap<HostTensor['data'], Tensor>()
      const tensorOf = ({ dtype, shape, data }: HostTensor): Tensor => {
        const isKept = data.byteLength >= KEPT_BYTES
        let tensor = isKept ? wrapped.get(data) : undefined
        if (tensor?.type !== dtype || !sameShape(tensor.dims, shape)) {
          tensor = new ort.Tensor(dtype as 'float32', data as Float32Array, shape)
          if (isKept) wrapped.set(data, tensor)
        }
        return tensor
      }
      const namesOf = (infos: GraphInfo['inputs']): readonly string[] => infos.map(({ name }) => name)
      const [inputNames, outputNames] = [namesOf(graph.inputs), namesOf(graph.outputs)]
      const wrap = (
        names: readonly string[],
        tensors: readonly HostTensor[],
        into: { [name: string]: Tensor | null } = {},
      ): { [name: string]: Tensor | null } => {
        tensors.forEach((tensor, i) => (into[names[i]] = tensorOf(tensor)))
        return into
      }
      return {
        run: async (inputs, outputs) => {
          try {
            await session.run(
              wrap(inputNames, inputs) as { [name: string]: Tensor },
              wrap(outputNames, outputs, { [STOP]: null }),
            )
          } catch (error) {
            if (!(error instanceof Error && error.message.startsWith('Non tensor type'))) throw error
          }
        },
        release: () => session.release(),
      }
    },
  }
}

/**
 * Where a session finds the weights: in memory, or in files, which ONNX Runtime maps into memory one weight at a time
 * and unmaps once it has packed it. It does not take both for one model, so beside files, weights in memory become
 * part of the model itself. Files are named from the root of their disk, so that they may be in any folder.
 */
function placeWeights(graph: GraphInfo): {
  model: GraphInfo
  inMemory: { path: string; data: Uint8Array }[]
  files: { model_external_initializers_file_folder_path?: string }
} {
  const held: [string, HostTensor][] = []
  const inFiles: [string, FileTensor][] = []
  for (const [name, weight] of graph.weights ?? [])
    if (isInFile(weight)) inFiles.push([name, weight])
    else held.push([name, weight])
  if (inFiles.length === 0)
    return { model: graph, inMemory: held.map(([path, tensor]) => ({ path, data: bytesOf(tensor) })), files: {} }
  return {
    model: { ...graph, initializers: new Map([...graph.initializers, ...held]), weights: new Map(inFiles) },
    inMemory: [],
    files: { model_external_initializers_file_folder_path: parse(inFiles[0][1].pieces[0].file).root },
  }
}

/** The default sessions in Node: package.json maps `#onnx-sessions` to this module. */
export const defaultSessions = (): SessionFactory => nodeSessions()

/**
 * How long a session's idle threads spin before they sleep. The default is many milliseconds, in which they occupy the
 * processors that the next session needs: after a run of the encoder, the decoder's first steps take five times as
 * long.
 */
const SPIN_MICROSECONDS = '200'

/**
 * The same for a training step. While one thread computes an operation that cannot be divided, the others wait, for up
 * to 1.3 ms in a step of the benchmark model. A step is 3% faster if they do not fall asleep meanwhile: measured with
 * 500, 1000, 2000 and 5000 microseconds, of which the last is as slow as 200.
 */
const LONG_SPIN_MICROSECONDS = '2000'

/** Smaller arrays are mostly new in each run, such as a step's tokens, and are not remembered. */
const KEPT_BYTES = 4096

/**
 * This optimizer compares every two constants, which is quadratic in their number. Our graphs share equal constants
 * already.
 */
const OFF = ['ConstantSharing']

/**
 * This one computes what depends on constants alone when the session is made, and keeps it as long as the session:
 * for the program that fills an optimizer's state with zeros, a second copy of the state.
 */
const OFF_WITHOUT_WEIGHTS = ['ConstantFolding']

/** The name of the output that ends the copying of results: see `withStop`. */
const STOP = 'stop'

/**
 * The graph with an empty list as its first output. After a run, the binding of onnxruntime-node 1.30
 * (`OrtValueToNapiValue`) copies each output, in order, into a new ArrayBuffer, even if it was written into memory that
 * we passed. That takes a tenth of a training step. At an output that is not a tensor it throws, so with such an output
 * first it copies nothing; `run` ignores that error. The version is pinned, and a test fails if this behavior changes.
 */
export const withStop = (graph: GraphInfo): GraphInfo => ({
  ...graph,
  nodes: [{ op: 'SequenceEmpty', domain: '', inputs: [], outputs: [STOP], attributes: {} }, ...graph.nodes],
  outputs: [{ name: STOP, dtype: 'float32', shape: [], isSequence: true }, ...graph.outputs],
})
