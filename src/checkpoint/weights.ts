import { dtypes } from '../base/dtypes.js'
import { ConfigError, FileError, SwitchyardError } from '../base/errors.js'
import { formatBytes, formatCount } from '../base/format.js'
import { treeFromPaths } from '../base/pytree.js'
import { castHost, partOf, sizeOf } from '../base/host-tensor.js'
import { lastPromise } from '../base/promise-cache.js'
import type { HostTensor } from '../base/host-tensor.js'
import type { StoredTensor } from '../base/stored-tensor.js'
import { fromHost, hostView } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import * as random from '../engine/api/random.js'
import { initExpert, initParameter } from '../model/init.js'
import { declareParameters, expertSpec } from '../model/parameters.js'
import type { ParameterSpec } from '../model/parameters.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import type { ModelParams } from '../model/types.js'
import type { ExpertSource, ExpertTraffic } from './experts/source.js'
import { listNames } from './format.js'
import type { TensorEntry } from './format.js'
import { transposeMatrix } from './layout.js'
import { isOutputsFirst, quantizeBlocks, quantizeColumns, quantizedTypes } from './quantize.js'
import type { Bits, QuantizedTensor, QuantizedTypes, StoredQuantized } from './quantize.js'

/**
 * A model's weights, stored in any format and addressed by parameter paths (`encoder/layers_0/attention/query/kernel`).
 * Shapes are known at once; data is read parameter by parameter.
 */
export interface Weights {
  readonly path: string
  /** The name of the storage format, to be shown: `huggingface`. */
  readonly container: string
  readonly model: ModelConfig
  readonly router: RouterConfig
  /** The declared parameters, each with the dtype in which it is stored, or float32 if it is quantized. */
  readonly specs: readonly ParameterSpec[]
  /** What a person should know of the file: parts of it that are not read. */
  readonly notices?: readonly string[]
  /** What the file's head is for, if it gives no text: `sequence classification (ForSequenceClassification)`. */
  readonly otherHead?: string
  /** The bits of the stored kernels, if they are quantized. */
  readonly bits?: Bits
  /** Reads a parameter, dequantized to float32 if it is quantized. */
  read(path: string): Promise<HostTensor>
  /** Reads the kernel of one expert, [in, out], from a stack of kernels [experts, in, out], as `read` gives it. */
  readExpert(path: string, expert: number): Promise<HostTensor>
  /**
   * Reads a kernel, or that of one expert, transposed to [..., out, in]. Defined only if the file stores kernels that
   * way, which saves a transposition.
   */
  readTransposed?(path: string, expert?: number): Promise<HostTensor>
  /** Reads a parameter, or one expert of it, as it is stored quantized; null if this one is not quantized. */
  readQuantized?(path: string, expert?: number): Promise<QuantizedTensor | null>
  /** Where a parameter is, if it is in files on disk as `read` gives it, but for transposed matrices. */
  locate?(path: string): Promise<StoredTensor | undefined>
  /** Where a quantized parameter is, if it is in files on disk as `readQuantized` gives it. */
  locateQuantized?(path: string): Promise<StoredQuantized | undefined>
  /** The types of a parameter as it is stored quantized; null if this one is not quantized. */
  quantizedTypes?(spec: ParameterSpec): QuantizedTypes | null
  /**
   * Opens the experts as they are stored, to be read page by page: see `expertsOf`. The source has files of its own: it
   * works on after these weights are closed.
   */
  experts?(): Promise<ExpertSource>
  /** If a part of the files is behind a network: what experts have cost so far, and all bytes that were fetched. */
  readonly remote?: { expertTraffic(): ExpertTraffic; fetchedBytes(): number }
  close(): Promise<void>
}

/** Throws a ConfigError if the model has a custom router, whose name only our own format records. */
export function refuseCustomRouter({ path, router }: Weights, format: string): void {
  if (router.custom !== undefined)
    throw new ConfigError(
      `${path}: the router "${router.custom}" of this model is not built in, and ${format} cannot record it: only our own format can (convert --to native)`,
    )
}

/** Throws a ConfigError if the model is an encoder alone, which cannot generate text or be trained on targets. */
export function requireDecoder({ path, model }: Pick<Weights, 'path' | 'model'>): void {
  if (model.numDecoderLayers === 0)
    throw new ConfigError(
      `${path}: this model is an encoder alone (as T5EncoderModel is) and has no decoder, so it cannot generate text: its vectors of texts are printed by switchyard embed`,
    )
}

/** Throws a ConfigError if the model gives no text: it has no decoder, or its file has a head for something else. */
export function requireTextHead(weights: Pick<Weights, 'path' | 'model' | 'otherHead'>): void {
  const { path, model, otherHead } = weights
  if (otherHead !== undefined)
    throw new ConfigError(
      `${path}: this model's head is for ${otherHead} and gives no text: switchyard embed gives the vectors of its encoder${model.numDecoderLayers > 0 ? ', and switchyard finetune trains its encoder and decoder to answer in text' : ''}`,
    )
  requireDecoder(weights)
}

/**
 * A `readExpert` for weights that can read only whole parameters. The parameter that was read last is kept in memory
 * until its last expert has been read, so that all experts can be read one after the other.
 */
export function expertsFromWhole(read: Weights['read']): Weights['readExpert'] {
  const last = lastPromise(read)
  return async (path, expert) => {
    const tensor = await last.get(path)
    if (expert === tensor.shape[0] - 1) last.clear()
    return partOf(tensor, expert)
  }
}

/** Reads a kernel [..., in, out], or that of one expert, transposed to [..., out, in]. */
export async function readTransposed(weights: Weights, path: string, expert?: number): Promise<HostTensor> {
  if (weights.readTransposed) return weights.readTransposed(path, expert)
  return transposeMatrix(await (expert === undefined ? weights.read(path) : weights.readExpert(path, expert)))
}

/**
 * Reads a parameter, or one expert of it, in quantized form: as stored if the file is quantized (`bits` is then
 * ignored), else quantized to `bits`. null if the parameter stays in floating point.
 */
export async function readQuantizedTo(
  weights: Weights,
  spec: ParameterSpec,
  bits: Bits | null,
  expert?: number,
): Promise<QuantizedTensor | null> {
  if (weights.readQuantized) return weights.readQuantized(spec.path, expert)
  const own = expert === undefined ? spec : expertSpec(spec)
  if (!bits || !quantizedTypes(own, bits)) return null
  const read = (): Promise<HostTensor> =>
    expert === undefined ? weights.read(spec.path) : weights.readExpert(spec.path, expert)
  if (bits === 8) return quantizeColumns(own, await read())
  return quantizeBlocks(
    own,
    isOutputsFirst(own) ? await read() : await readTransposed(weights, spec.path, expert),
    bits,
  )
}

/** The types of what `readQuantizedTo` reads. */
export const quantizedTypesOf = (
  weights: Pick<Weights, 'quantizedTypes'>,
  spec: ParameterSpec,
  bits: Bits | null,
): QuantizedTypes | null => (weights.quantizedTypes ? weights.quantizedTypes(spec) : bits && quantizedTypes(spec, bits))

/** Reads every parameter in order, cast to `dtype` (default: the dtype in which it is stored). */
export async function* readWeights(
  { path = 'the model', specs, read }: Pick<Weights, 'specs' | 'read'> & Partial<Pick<Weights, 'path'>>,
  dtype?: ParameterSpec['dtype'],
): AsyncGenerator<[path: string, tensor: HostTensor]> {
  for (const spec of specs) {
    const target = dtype ?? spec.dtype
    requireOneArray(path, spec, sizeOf(spec.shape) * dtypes[target].bytes)
    yield [spec.path, castHost(await read(spec.path), target)]
  }
}

/** The tensors of a parameter for a writer, cast to a dtype. A stack of experts is delivered expert by expert. */
export async function* parameterEntries(
  weights: Pick<Weights, 'read' | 'readExpert'>,
  { path, role, shape }: ParameterSpec,
  dtype: ParameterSpec['dtype'],
): AsyncGenerator<TensorEntry> {
  if (role !== 'expertKernel') yield [path, castHost(await weights.read(path), dtype)]
  else
    for (let expert = 0; expert < shape[0]; expert++)
      yield [path, castHost(await weights.readExpert(path, expert), dtype), expert]
}

/** The most bytes that one array of this version of Node.js can be read into. */
const MOST_ARRAY_BYTES = 2 ** 32

/**
 * Throws a ConfigError if a parameter that takes `bytes` in memory is too large for one array, as a stack of experts
 * may be.
 */
export function requireOneArray(
  path: string,
  spec: Pick<ParameterSpec, 'path' | 'shape' | 'role'>,
  bytes: number,
): void {
  if (bytes <= MOST_ARRAY_BYTES) return
  const advice = spec.role === 'expertKernel' ? ': give --experts-memory, which reads experts one by one' : ''
  throw new ConfigError(
    `${path}: ${spec.path} [${spec.shape.join(', ')}] takes ${formatBytes(bytes)} in memory, and one array holds at most ${formatBytes(MOST_ARRAY_BYTES)}${advice}`,
  )
}

/** Reads all weights into a tree of parameters, cast to `dtype`. */
export async function readParameters(
  weights: Pick<Weights, 'specs' | 'read'>,
  dtype?: ParameterSpec['dtype'],
): Promise<ModelParams> {
  const entries: [string, Tensor][] = []
  for await (const [path, tensor] of readWeights(weights, dtype)) entries.push([path, fromHost(tensor)])
  return treeFromPaths(entries) as unknown as ModelParams
}

/**
 * New random weights of a model. Each parameter is drawn when it is read, so a model larger than memory can be written.
 */
export function newWeights(name: string, model: ModelConfig, router: RouterConfig, seed: number): Weights {
  const specs = declareParameters(model, router)
  const places = new Map(specs.map((spec, i) => [spec.path, i]))
  const find = (path: string): number => {
    const i = places.get(path)
    if (i === undefined) throw new SwitchyardError(`${name}: there is no parameter ${path} in this model`)
    return i
  }
  return {
    path: name,
    container: 'new weights',
    model,
    router,
    specs,
    read: async path => hostView(initParameter(specs[find(path)], find(path), random.key(seed))),
    readExpert: async (path, expert) => hostView(initExpert(specs[find(path)], find(path), expert, random.key(seed))),
    close: () => Promise.resolve(),
  }
}

/** How the tensors of a file differ from the parameters of a model. */
export interface Mismatch {
  missing: string[]
  /** Tensors that no parameter of the model is read from. */
  surplus: string[]
  /** Descriptions of tensors with a wrong shape or dtype. */
  misshapen: string[]
}

/** Throws a FileError that lists the differences, if there are any. */
export function checkComplete(path: string, { missing, surplus, misshapen }: Mismatch): void {
  const problems = [
    ...(missing.length > 0 ? [`missing: ${listed(missing)}`] : []),
    ...(surplus.length > 0 ? [`unexpected: ${listed(surplus)}`] : []),
    ...(misshapen.length > 0 ? [`of a wrong shape or dtype: ${listed(misshapen)}`] : []),
  ]
  if (problems.length > 0)
    throw new FileError(
      `${path}: the tensors are not those of the model that the configuration describes\n  ${problems.join('\n  ')}`,
    )
}

const listed = (names: readonly string[]): string => `${formatCount(names.length)} (${listNames(names)})`

/** The declared parameters of a model, with the dtypes in which they are stored. */
export const storedSpecs = (
  model: ModelConfig,
  router: RouterConfig,
  dtypeOf: (spec: ParameterSpec) => ParameterSpec['dtype'],
): ParameterSpec[] => declareParameters(model, router).map(spec => ({ ...spec, dtype: dtypeOf(spec) }))
