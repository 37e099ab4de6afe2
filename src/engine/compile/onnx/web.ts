import { SwitchyardError } from '../../../base/errors.js'
import { bytesOf } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { encodeModel } from './proto.js'
import type { SessionFactory } from './session.js'

export interface WebSessionOptions {
  /**
   * Threads of ONNX Runtime. More than one needs a page that is cross-origin isolated. Without it, ONNX Runtime chooses.
   * The whole page has one such setting: the first session that is made fixes it.
   */
  threads?: number
  /** URL of `ort-wasm-simd-threaded.wasm`. Without it, the file is expected beside the script that holds ONNX Runtime. */
  wasmUrl?: string
}

/**
 * Sessions of ONNX Runtime for browsers (the package onnxruntime-web, on WebAssembly), which is loaded at first use. A run
 * blocks its thread: in a page, work in a Web Worker.
 */
export function webSessions({ threads, wasmUrl }: WebSessionOptions = {}): SessionFactory {
  const load = async (): Promise<typeof import('onnxruntime-web/wasm')> => {
    const ort = await import('onnxruntime-web/wasm').catch((cause: unknown) => {
      throw new SwitchyardError(
        'onnxruntime-web, which runs programs in the browser, cannot be loaded: install it beside switchyard-ml, or choose another backend with setBackend',
        { cause },
      )
    })
    if (threads !== undefined) ort.env.wasm.numThreads = threads
    if (wasmUrl !== undefined) ort.env.wasm.wasmPaths = { wasm: wasmUrl }
    return ort
  }
  return {
    describe: async () => {
      const { env } = await load()
      return `onnxruntime-web ${env.versions.web ?? env.versions.common}, WebAssembly`
    },
    create: async (graph, { keepMemory }) => {
      const ort = await load()
      const session = await ort.InferenceSession.create(encodeModel(graph), {
        executionProviders: ['wasm'],
        logSeverityLevel: 3,
        enableCpuMemArena: keepMemory,
        // It compares each constant with each: quadratic in their number. Our graphs share constants already.
        extra: { optimization: { disable_specified_optimizers: 'ConstantSharing' } },
        externalData: Array.from(graph.weights ?? [], ([path, tensor]) => ({ path, data: bytesOf(tensor) })),
      })
      const wrap = ({ dtype, shape, data }: HostTensor): InstanceType<typeof ort.Tensor> =>
        new ort.Tensor(dtype as 'float32', data as Float32Array, shape)
      return {
        run: async (inputs, outputs) => {
          const results = await session.run(Object.fromEntries(inputs.map((t, i) => [`x${i}`, wrap(t)])))
          // Memory given for results would stay unwritten: they come out of the WebAssembly memory as copies.
          outputs.forEach((target, i) => {
            const { buffer, byteOffset, byteLength } = results[`y${i}`].data as Float32Array
            bytesOf(target).set(new Uint8Array(buffer, byteOffset, byteLength))
          })
        },
        release: () => session.release(),
      }
    },
  }
}

/** What `#onnx-sessions` (package.json) means in a browser. */
export const defaultSessions = webSessions
