import { allocate } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import { sizeOf } from '../../../base/tensor.js'
import type { HostTensor } from '../../../base/tensor.js'
import type { Program } from '../../program/program.js'
import type { Backend, Buffer } from '../backend.js'
import { GraphWriter } from './graph.js'
import { lowerProgram } from './lower.js'
import { encodeModel } from './proto.js'

/** Runs one serialized model on host tensors, writing each output into memory that is given. */
export interface Session {
  run(inputs: ReadonlyMap<string, HostTensor>, outputs: ReadonlyMap<string, HostTensor>): Promise<void>
}

/** Makes sessions: Node's ONNX Runtime, or the browser's. */
export type SessionFactory = (model: Uint8Array) => Promise<Session>

const put = (tensor: HostTensor): Buffer => ({ aval: tensor, read: async () => tensor })

/** The serialized ONNX model of a program: inputs `x0, x1, ...`, outputs `y0, y1, ...`. */
export function toOnnx(program: Program): Uint8Array {
  const g = new GraphWriter()
  const value = (prefix: string) => ({ aval: { dtype, shape } }: { aval: { dtype: DType; shape: readonly number[] } }, i: number) => ({ name: `${prefix}${i}`, dtype, shape })
  const inputs = program.inputs.map(value('x'))
  const outputs = program.outputs.map(value('y'))
  lowerProgram(g, program, inputs).forEach((v, i) =>
    g.nodes.push({ op: 'Identity', domain: '', inputs: [v.name], outputs: [outputs[i].name], attributes: {} }))
  return encodeModel({ nodes: g.nodes, initializers: g.initializers, inputs, outputs })
}

/** The backend that compiles a program to one ONNX graph. */
export const onnxBackend = (createSession: SessionFactory): Backend => ({
  name: 'onnx',
  put,
  compile: async program => {
    const session = await createSession(toOnnx(program))
    return {
      run: async buffers => {
        const hosts = await Promise.all(buffers.map(b => b.read()))
        const outputs = program.outputs.map(({ aval: { dtype, shape } }): HostTensor => ({ dtype, shape, data: allocate(dtype, sizeOf(shape)) }))
        await session.run(named('x', hosts), named('y', outputs))
        return outputs.map(put)
      },
    }
  },
})

const named = (prefix: string, tensors: readonly HostTensor[]): Map<string, HostTensor> => new Map(tensors.map((t, i) => [`${prefix}${i}`, t]))
