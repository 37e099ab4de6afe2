import { availableParallelism } from 'node:os'
import type { Tensor } from 'onnxruntime-node'
import { bytesOf } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { loadRuntime } from './load-runtime.js'
import { encodeModel } from './proto.js'
import { sameShape } from '../../program/aval.js'
import type { GraphInfo } from './proto.js'
import type { SessionFactory } from './session.js'

/** Sessions of ONNX Runtime for Node, which is loaded at first use. Results depend on the number of threads. */
export function nodeSessions(threads = availableParallelism()): SessionFactory {
  return {
    describe: async () => {
      const ort = await loadRuntime()
      return `onnxruntime-node ${ort.env.versions.node ?? ort.env.versions.common}, ${threads} threads`
    },
    create: async (graph, { keepMemory }) => {
      const ort = await loadRuntime()
      const session = await ort.InferenceSession.create(encodeModel(withStop(graph)), {
        executionProviders: ['cpu'],
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        logSeverityLevel: 3,
        enableCpuMemArena: keepMemory,
        extra: {
          session: { intra_op: { spin_duration_us: SPIN_MICROSECONDS } },
          // It compares each constant with each: quadratic in their number. Our graphs share constants already.
          optimization: { disable_specified_optimizers: 'ConstantSharing' },
        },
        externalData: Array.from(graph.weights ?? [], ([path, tensor]) => ({ path, data: bytesOf(tensor) })),
      })
      // Tensors that keep their memory between runs, such as weights and caches, are wrapped once.
      const wrapped = new WeakMap<HostTensor['data'], Tensor>()
      const tensorOf = ({ dtype, shape, data }: HostTensor): Tensor => {
        let tensor = wrapped.get(data)
        if (tensor?.type !== dtype || !sameShape(tensor.dims, shape))
          wrapped.set(data, (tensor = new ort.Tensor(dtype as 'float32', data as Float32Array, shape)))
        return tensor
      }
      const wrap = (prefix: string, tensors: readonly HostTensor[]): { [name: string]: Tensor } =>
        Object.fromEntries(tensors.map((t, i) => [`${prefix}${i}`, tensorOf(t)]))
      return {
        run: async (inputs, outputs) => {
          try {
            await session.run(wrap('x', inputs), { [STOP]: null, ...wrap('y', outputs) })
          } catch (error) {
            if (!(error instanceof Error && error.message.startsWith('Non tensor type'))) throw error
          }
        },
        release: () => session.release(),
      }
    },
  }
}

/** What `#onnx-sessions` (package.json) means in Node. */
export const defaultSessions = (): SessionFactory => nodeSessions()

/**
 * How long a session's threads wait for more work before they sleep. By default it is many milliseconds, in which they keep the
 * processors from the next session: an encoder that has just run slows the decoder's first steps to a fifth.
 */
const SPIN_MICROSECONDS = '200'

const STOP = 'stop'

/**
 * The graph with an empty list as its first output. After a run, the binding of onnxruntime-node 1.30 (`OrtValueToNapiValue`) copies
 * each output, in order, into a new ArrayBuffer, also one that was written into memory it was given: a tenth of a training step. At
 * an output that is no tensor it gives up with an error, so it copies nothing. The version is pinned, and a test fails if it does
 * otherwise.
 */
export const withStop = (graph: GraphInfo): GraphInfo => ({
  ...graph,
  nodes: [{ op: 'SequenceEmpty', domain: '', inputs: [], outputs: [STOP], attributes: {} }, ...graph.nodes],
  outputs: [{ name: STOP, dtype: 'float32', shape: [], isSequence: true }, ...graph.outputs],
})
