import { FileError, SwitchyardError } from '../base/errors.js'
import { formatCount } from '../base/format.js'
import { treeFromPaths } from '../base/pytree.js'
import { castHost } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { fromHost, hostView } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import * as random from '../engine/api/random.js'
import { initParameter } from '../model/init.js'
import { declareParameters } from '../model/parameters.js'
import type { ParameterSpec } from '../model/parameters.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import type { ModelParams } from '../model/types.js'
import { listNames } from './format.js'
import { transposeMatrix } from './layout.js'
import { isOutputsFirst, quantize, quantizedShapes } from './quantize.js'
import type { Bits, QuantizedTensor } from './quantize.js'

/** A model's weights under our paths, whatever they are stored in: sizes are known, data is read parameter by parameter. */
export interface Weights {
  readonly path: string
  /** What they are stored as, for people: `huggingface`. */
  readonly container: string
  readonly model: ModelConfig
  readonly router: RouterConfig
  /** In the order of the data flow, each with the dtype in which it is stored (float32 where it is quantized). */
  readonly specs: readonly ParameterSpec[]
  /** In how many bits kernels are stored, where they are quantized. */
  readonly bits?: Bits
  /** A parameter, in float32 if it is quantized. */
  read(path: string): Promise<HostTensor>
  /** A kernel turned round, [..., out, in], where it is stored so: see `readTurned`. */
  readTurned?(path: string): Promise<HostTensor>
  /** A quantized parameter as it is stored; null if this one is not. */
  readQuantized?(path: string): Promise<QuantizedTensor | null>
  close(): Promise<void>
}

/** A kernel [..., in, out] as [..., out, in]. */
const readTurned = async (weights: Weights, path: string): Promise<HostTensor> =>
  weights.readTurned ? weights.readTurned(path) : transposeMatrix(await weights.read(path))

/** A parameter in so many bits, as it is stored or quantized here; null if it stays as it is. */
export async function readInBits(
  weights: Weights,
  spec: ParameterSpec,
  bits: Bits | null,
): Promise<QuantizedTensor | null> {
  if (weights.readQuantized) return weights.readQuantized(spec.path)
  if (!bits || !quantizedShapes(spec, bits)) return null
  return quantize(spec, await (isOutputsFirst(spec) ? weights.read(spec.path) : readTurned(weights, spec.path)), bits)
}

/** Every parameter in turn, in its own dtype or in another one. */
export async function* readWeights(
  { specs, read }: Pick<Weights, 'specs' | 'read'>,
  dtype?: ParameterSpec['dtype'],
): AsyncGenerator<[path: string, tensor: HostTensor]> {
  for (const spec of specs) yield [spec.path, castHost(await read(spec.path), dtype ?? spec.dtype)]
}

/** The weights as parameters on the engine. */
export async function readParameters(
  weights: Pick<Weights, 'specs' | 'read'>,
  dtype?: ParameterSpec['dtype'],
): Promise<ModelParams> {
  const entries: [string, Tensor][] = []
  for await (const [path, tensor] of readWeights(weights, dtype)) entries.push([path, fromHost(tensor)])
  return treeFromPaths(entries) as unknown as ModelParams
}

/** New, random weights of a model, each made when it is read: a model that is larger than memory can be written. */
export function newWeights(name: string, model: ModelConfig, router: RouterConfig, seed: number): Weights {
  const specs = declareParameters(model, router)
  const places = new Map(specs.map((spec, i) => [spec.path, i]))
  return {
    path: name,
    container: 'new weights',
    model,
    router,
    specs,
    read: async path => {
      const i = places.get(path)
      if (i === undefined) throw new SwitchyardError(`${name}: there is no parameter ${path} in this model`)
      return hostView(initParameter(specs[i], i, random.key(seed)))
    },
    close: () => Promise.resolve(),
  }
}

/** What was found in a container for the parameters that a model should have. */
export interface Mismatch {
  missing: string[]
  surplus: string[]
  misshapen: string[]
}

/** Throws a FileError that lists everything that does not fit the model. */
export function checkComplete(path: string, { missing, surplus, misshapen }: Mismatch): void {
  const problems = [
    ...(missing.length > 0 ? [`missing: ${listed(missing)}`] : []),
    ...(surplus.length > 0 ? [`in no model of this kind: ${listed(surplus)}`] : []),
    ...(misshapen.length > 0 ? [`of a wrong shape: ${listed(misshapen)}`] : []),
  ]
  if (problems.length > 0)
    throw new FileError(
      `${path}: the tensors are not those of the model that the configuration describes\n  ${problems.join('\n  ')}`,
    )
}

const listed = (names: readonly string[]): string => `${formatCount(names.length)} (${listNames(names)})`

/** The parameters of a model, with the dtypes in which they are stored. */
export const storedSpecs = (
  model: ModelConfig,
  router: RouterConfig,
  dtypeOf: (spec: ParameterSpec) => ParameterSpec['dtype'],
): ParameterSpec[] => declareParameters(model, router).map(spec => ({ ...spec, dtype: dtypeOf(spec) }))
