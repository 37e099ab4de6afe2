import { SwitchyardError } from '../../../base/errors.js'
import { bytesOf } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { encodeModel } from './proto.js'
import type { SessionFactory } from './session.js'

export interface WebSessionOptions {
  /**
   * The number of ONNX Runtime's threads. More than one needs a page that is cross-origin isolated. Default: ONNX
   * Runtime's choice. The first session that is made fixes the number for the whole page.
   */
  threads?: number
  /** URL of `ort-wasm-simd-threaded.wasm`. Default: beside the script that contains ONNX Runtime. */
  wasmUrl?: string
}

/**
 * Sessions of ONNX Runtime for browsers (the package onnxruntime-web, on WebAssembly), which is loaded at first use. A
 * run blocks its thread: in a page, work in a Web Worker.
 */
export function webSessions({ threads, wasmUrl }: WebSessionOptions = {}): SessionFactory {
  const load = async (): Promise<typeof import('onnxruntime-web/wasm')> => {
    const ort = await import('onnxruntime-web/wasm').catch((cause: unknown) => {
      throw new SwitchyardError(
        'onnxruntime-web, which runs programs in the browser, cannot be loaded: ' +
          'install it beside switchyard-ml, or choose another backend with setBackend',
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
      const hasWeights = graph.weights !== undefined && graph.weights.size > 0
      const session = await ort.InferenceSession.create(encodeModel(graph), {
        executionProviders: ['wasm'],
        logSeverityLevel: 3,
        enableCpuMemArena: keepMemory,
        // As in node.ts: the higher levels find nothing in graphs without weights, and take a tenth of the creation.
        graphOptimizationLevel: hasWeights ? 'all' : 'basic',
        // This optimizer compares every two constants, which is quadratic in their number. Our graphs share equal
        // constants already.
        extra: { optimization: { disable_specified_optimizers: 'ConstantSharing' } },
        externalData: Array.from(graph.weights ?? [], ([path, weight]) => ({
          path,
          data: bytesOf(weight as HostTensor), // There is no `readsFiles`.
        })),
      })
      const wrap = ({ dtype, shape, data }: HostTensor): InstanceType<typeof ort.Tensor> =>
        new ort.Tensor(dtype as 'float32', data as Float32Array, shape)
      return {
        run: async (inputs, outputs) => {
          const results = await session.run(Object.fromEntries(inputs.map((t, i) => [`x${i}`, wrap(t)])))
          // onnxruntime-web does not write into memory that it is given: it returns copies from its WebAssembly memory.
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

/** The default sessions in a browser: package.json maps `#onnx-sessions` to this module. */
export const defaultSessions = webSessions
