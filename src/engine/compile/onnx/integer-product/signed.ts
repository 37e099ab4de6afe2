import { cachedPromise } from '../../../../base/promise-cache.js'
import type { DType } from '../../../../base/dtypes.js'
import { hostFrom, sizeOf } from '../../../../base/host-tensor.js'
import type { HostTensor } from '../../../../base/host-tensor.js'
import type { GraphInfo } from '../proto.js'
import type { SessionFactory } from '../session.js'
import { integerDot } from './nodes.js'

const known = new WeakMap<SessionFactory, Promise<boolean>>()

/**
 * Whether ONNX Runtime multiplies unsigned by signed 8-bit integers exactly on this processor. On x86 processors with
 * AVX2 or AVX-512 but without VNNI, its kernel adds two products in 16 bits, which saturate. So the largest products
 * are computed once.
 */
export const multipliesSignedExactly = (sessions: SessionFactory): Promise<boolean> =>
  cachedPromise(known, sessions, () => measure(sessions))

async function measure(sessions: SessionFactory): Promise<boolean> {
  const [rows, inputs, outputs] = [2, 64, 16]
  const filled = (dtype: DType, shape: readonly number[], value: number): HostTensor =>
    hostFrom(dtype, shape, new Float32Array(sizeOf(shape)).fill(value))
  const initializers = new Map([
    ['values', filled('int8', [inputs, outputs], 127)],
    ['scales', filled('float32', [outputs], 127)],
  ])
  const graph: GraphInfo = {
    nodes: integerDot('x0', ['values', 'scales'], 'y0', false, true, { initializers }),
    initializers,
    inputs: [{ name: 'x0', dtype: 'uint8', shape: [rows, inputs] }],
    outputs: [{ name: 'y0', dtype: 'float32', shape: [rows, outputs] }],
  }
  const session = await sessions.create(graph, { keepMemory: false })
  const y = filled('float32', [rows, outputs], 0)
  await session.run([filled('uint8', [rows, inputs], 255)], [y])
  await session.release()
  return (y.data as Float32Array).every(sum => Math.round(sum) === inputs * 127 * 127)
}
