import type { Tensor } from 'onnxruntime-node'
import type { HostTensor } from '../../../base/tensor.js'
import type { SessionFactory } from './backend.js'

/** Sessions of ONNX Runtime for Node. Loaded at first use. */
export const nodeSessions = (threads = 2): SessionFactory => async model => {
  const { default: ort } = await import('onnxruntime-node')
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ['cpu'], intraOpNumThreads: threads, interOpNumThreads: 1, logSeverityLevel: 3,
  })
  const wrap = (tensors: ReadonlyMap<string, HostTensor>): { [name: string]: Tensor } =>
    Object.fromEntries([...tensors].map(([name, t]) => [name, new ort.Tensor(t.dtype as 'float32', t.data as Float32Array, [...t.shape])]))
  return { run: async (inputs, outputs) => { await session.run(wrap(inputs), wrap(outputs)) } }
}
