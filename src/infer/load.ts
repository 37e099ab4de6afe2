import { isFloat } from '../base/dtypes.js'
import { ConfigError } from '../base/errors.js'
import { treeFromPaths } from '../base/pytree.js'
import { castHost, sizeOf } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import type { StoredTensor } from '../base/stored-tensor.js'
import { quantizedTypes } from '../checkpoint/quantize.js'
import type { Bits } from '../checkpoint/quantize.js'
import { readQuantizedTo, requireOneArray } from '../checkpoint/weights.js'
import type { Weights } from '../checkpoint/weights.js'
import { fromHost, fromStored } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { ModelConfig } from '../model/config.js'
import { withAnswersOf } from '../model/generation-defaults.js'
import type { Meaning } from '../model/meaning.js'
import type { ModelParams } from '../model/types.js'
import type { Router } from '../nn/moe/router.js'
import type { TextCodec } from '../text/codec.js'
import { PagedExperts } from './paged-experts.js'
import type { PagingOptions } from './paged-experts.js'
import type { TextModel } from './text-generator.js'

/** The most tokens of an answer, for models that do not say. transformers makes 20, which cuts most summaries short. */
export const DEFAULT_NEW_TOKENS = 128

/** Decoding allocates position biases and caches for the longest answer in advance, so there is a limit. */
export const MOST_NEW_TOKENS = 4096

/** Throws a ConfigError if answers would be longer than that. */
export function checkNewTokens(maxNewTokens: number | undefined): void {
  if (maxNewTokens !== undefined && maxNewTokens > MOST_NEW_TOKENS)
    throw new ConfigError(`an answer has at most ${MOST_NEW_TOKENS} tokens, not ${maxNewTokens} (maxNewTokens)`)
}

export interface LoadOptions {
  /** The most tokens of an answer. Default: the model's own, which one answer may exceed up to 128; or 128. */
  maxNewTokens?: number
  /** Quantizes kernels to this many bits while they are loaded. */
  bits?: Bits
  /** The custom router with which the model was trained. Omit it for a built-in router. */
  router?: Router
  /** The custom meaning with which the model was trained. Omit it for a built-in one. */
  meaning?: Meaning
  /**
   * The most bytes of experts in memory: an expert is read when tokens meet it. Answers are the same. Default: all
   * experts are loaded (`openTextModel`: if they fit into memory).
   */
  expertsMemory?: number
  /** With paged experts: the pages that stay in memory once they are read (see `pinnedPages`). Default: none. */
  pinned?: PagingOptions['pinned']
  /** With paged experts: called when a layer asks for experts, and after each one that it is given. */
  onPaging?: PagingOptions['onProgress']
}

/**
 * Loads a model for a TextGenerator. The weights may be closed afterwards, but their files must stay until the first
 * answer. With `expertsMemory`, the weights must stay open until the model is closed (`TextGenerator.close`).
 */
export async function loadTextModel(
  weights: Weights,
  codec: TextCodec,
  { maxNewTokens, bits, router, meaning, expertsMemory, pinned, onPaging }: LoadOptions = {},
): Promise<TextModel> {
  // `reference` names the implementation that the model follows (see model/meaning.ts). Ours drops no token in
  // inference, so that no answer depends on padding or on its batch.
  const own: ModelConfig = { ...weights.model, reference: 'switchyard', dtype: 'float32' }
  const config = maxNewTokens === undefined ? own : withAnswersOf(own, maxNewTokens)
  const limit =
    maxNewTokens ?? Math.min(Math.max(own.generation?.maxNewTokens ?? 0, DEFAULT_NEW_TOKENS), MOST_NEW_TOKENS)
  const { params, experts } = await loadWithPaging(weights, bits ?? null, { expertsMemory, pinned, onPaging })
  return {
    params,
    options: { config, router: weights.router, customRouter: router, meaning, maxNewTokens: limit, release: true },
    codec,
    ...(experts && { experts, close: () => experts.close() }),
  }
}

/** Loads a model's weights for inference; with `expertsMemory`, its experts in pages. */
export async function loadWithPaging(
  weights: Weights,
  bits: Bits | null,
  { expertsMemory, pinned, onPaging }: Pick<LoadOptions, 'expertsMemory' | 'pinned' | 'onPaging'>,
): Promise<{ params: ModelParams; experts?: PagedExperts }> {
  if (expertsMemory === undefined) return { params: await loadForInference(weights, bits) }
  const experts = await PagedExperts.open(weights, bits, { memory: expertsMemory, pinned, onProgress: onPaging })
  try {
    return { params: await loadForInference(weights, bits, experts), experts }
  } catch (error) {
    await experts.close()
    throw error
  }
}

/**
 * Loads a model's weights for inference: in float32, or with kernels quantized to `bits`. Parameters are read one by
 * one: besides the loaded parameters, memory holds the stored parts of the parameter that is being read. Of paged
 * experts, no kernel is read. Throws a ConfigError if the weights are quantized to other bits already.
 */
export async function loadForInference(
  weights: Weights,
  bits: Bits | null = null,
  experts?: PagedExperts,
): Promise<ModelParams> {
  if (bits && weights.bits && bits !== weights.bits)
    throw new ConfigError(
      `${weights.path}: its weights have ${weights.bits} bits already and cannot be quantized to ${bits}`,
    )
  const read = experts ? withoutExperts(weights) : weights
  const stored = await inFiles(read, bits)
  const entries: [string, Tensor][] = []
  for (const spec of weights.specs) {
    const { path } = spec
    if (experts && spec.role === 'expertKernel') {
      entries.push(...experts.arraysOf(path))
      continue
    }
    const parts = stored.get(path)
    if (parts) {
      for (const [name, tensor] of parts) entries.push([name, fromStored(tensor)])
      continue
    }
    requireOneArray(weights.path, spec, weightBytes({ specs: [spec] }, bits ?? weights.bits ?? null))
    const quantized = await readQuantizedTo(weights, spec, bits)
    if (quantized)
      entries.push([`${path}/values`, fromHost(quantized.values)], [`${path}/scales`, fromHost(quantized.scales)])
    else entries.push([path, fromHost(castHost(await weights.read(path), 'float32'))])
  }
  return treeFromPaths(entries) as unknown as ModelParams
}

/** The bytes of a model's weights in memory: in float32, or with kernels quantized to `bits`. */
export const weightBytes = ({ specs }: Pick<Weights, 'specs'>, bits: Bits | null): number =>
  specs.reduce((sum, spec) => {
    const quantized = bits && quantizedTypes(spec, bits)
    return sum + (quantized ? sizeOf(quantized.values) + 4 * sizeOf(quantized.scales) : 4 * sizeOf(spec.shape))
  }, 0)

/** Weights without the kernels of experts: those that are loaded if experts are paged. */
export const withoutExperts = <W extends Pick<Weights, 'specs'>>(weights: W): W => ({
  ...weights,
  specs: weights.specs.filter(({ role }) => role !== 'expertKernel'),
})

/** Smaller parameters are read into memory at once. */
const SMALL_BYTES = 2 ** 16

/** The tensors of a parameter, by their places in the tree of parameters. */
type Located = readonly (readonly [path: string, tensor: StoredTensor])[]

/**
 * The large parameters of a model, if all are in files on disk: in floating point, which gives float32, or as they are
 * quantized. Empty if one is not, or is to be quantized to `bits`. ONNX Runtime takes large weights either from files
 * or from memory.
 */
async function inFiles(
  { specs, bits: storedBits, locate, locateQuantized }: Pick<Weights, 'specs' | 'bits' | 'locate' | 'locateQuantized'>,
  bits: Bits | null,
): Promise<Map<string, Located>> {
  const found = new Map<string, Located>()
  if (bits && bits !== storedBits) return found
  for (const { path, shape } of specs) {
    if (4 * sizeOf(shape) <= SMALL_BYTES) continue
    const quantized = await locateQuantized?.(path)
    const stored = quantized ? undefined : await locate?.(path)
    if (quantized)
      found.set(path, [
        [`${path}/values`, quantized.values],
        [`${path}/scales`, quantized.scales],
      ])
    else if (stored && isFloat(stored.dtype)) {
      const read = async (): Promise<HostTensor> => castHost(await stored.read(), 'float32')
      found.set(path, [[path, { ...stored, dtype: 'float32', read }]])
    } else return new Map()
  }
  return found
}

/**
 * Estimates the memory, in bytes, that a model takes while it is loaded: its peak, before any answer. Weights that ONNX
 * Runtime reads from files are in memory once, in the form that it packs for matmuls, beside the embeddings, which are
 * kept in both forms. Other weights are in memory as they were read, and those of one stack two times more: as ONNX
 * Runtime's copy, and packed. Only the packed form stays.
 */
export async function loadingBytes(weights: Weights, bits: Bits | null = weights.bits ?? null): Promise<number> {
  const { specs } = weights
  const sum = weightBytes(weights, bits)
  if ((await inFiles(weights, bits)).size > 0) {
    const largest = Math.max(...specs.map(spec => weightBytes({ specs: [spec] }, bits)))
    const embeddings = weightBytes({ specs: specs.filter(({ role }) => role === 'embedding') }, bits)
    // switch-base-8 takes a twentieth more than the sum in float32, and a seventh more where it is stored in bfloat16.
    return Math.ceil(1.15 * (sum + largest + embeddings))
  }
  const ofStack = (stack: string): number =>
    weightBytes({ specs: specs.filter(({ place }) => (place.stack ?? stack) === stack) }, bits)
  const largest = 4 * Math.max(...specs.map(spec => sizeOf(spec.shape)))
  // While the largest parameter is read, memory holds its stored parts too.
  return sum + Math.max(2 * ofStack('encoder'), 2 * ofStack('decoder'), 2 * largest)
}
