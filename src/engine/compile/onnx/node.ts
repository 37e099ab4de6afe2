import { availableParallelism } from 'node:os'
import type { Tensor } from 'onnxruntime-node'
import type { HostTensor } from '../../../base/tensor.js'
import type { SessionFactory } from './session.js'

/** Sessions of ONNX Runtime for Node, which is loaded at first use. Results depend on the number of threads. */
export function nodeSessions(threads = availableParallelism()): SessionFactory {
  return {
    describe: async () => {
      const { default: ort } = await import('onnxruntime-node')
      return `onnxruntime-node ${ort.env.versions.node ?? ort.env.versions.common}, ${threads} threads`
    },
    create: async (model, { keepMemory }) => {
      const { default: ort } = await import('onnxruntime-node')
      const session = await ort.InferenceSession.create(model, {
        executionProviders: ['cpu'], intraOpNumThreads: threads, interOpNumThreads: 1, logSeverityLevel: 3, enableCpuMemArena: keepMemory,
      })
      const wrap = (prefix: string, tensors: readonly HostTensor[]): { [name: string]: Tensor } =>
        Object.fromEntries(tensors.map((t, i) => [`${prefix}${i}`, new ort.Tensor(t.dtype as 'float32', t.data as Float32Array, t.shape)]))
      return { run: async (inputs, outputs) => { await session.run(wrap('x', inputs), wrap('y', outputs)) } }
    },
  }
}
