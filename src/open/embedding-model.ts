import { join } from 'node:path'
import * as z from 'zod'
import { ConfigError, FileError } from '../base/errors.js'
import { formatCount } from '../base/format.js'
import { memoryProblem } from '../checkpoint/free-memory.js'
import type { Bits } from '../checkpoint/quantize.js'
import { torchActivations } from '../checkpoint/sentence-transformers/activations.js'
import { readDenseWeights } from '../checkpoint/sentence-transformers/dense-weights.js'
import { readSentenceTransformer } from '../checkpoint/sentence-transformers/folder.js'
import type { DenseSettings, SentenceTransformer } from '../checkpoint/sentence-transformers/folder.js'
import { readOptionalSettings } from '../checkpoint/sentence-transformers/settings-file.js'
import type { Weights } from '../checkpoint/weights.js'
import { fromHost } from '../engine/api/tensor.js'
import { TextEmbedder } from '../infer/embed/text-embedder.js'
import type { EmbeddingWeights } from '../infer/embed/encode-batch.js'
import type { DenseWeights, VectorLayer } from '../infer/embed/vector-layers.js'
import { loadWithPaging } from '../infer/load.js'
import { attentionBytes } from '../infer/memory-sizes.js'
import type { ModelConfig } from '../model/config.js'
import type { PoolingMode } from '../nn/pooling.js'
import { lowercased } from '../text/codec.js'
import type { CheckpointChoice } from '../train/choose-checkpoint.js'
import type { CustomModelValues } from '../train/loss.js'
import { noteFetched, remoteFor } from './left-weights.js'
import { modelCodec, vocabularyFolders } from './model-codec.js'
import { openWeights } from './open-weights.js'
import type { OpenedWeights } from './open-weights.js'
import { pagingOf } from './text-model.js'

export interface EmbedderOptions {
  /** How the vectors of tokens become one. Default: as the folder says, else `mean`. */
  pooling?: PoolingMode
  /** The most tokens of a text, EOS included; longer texts are cut. Default: the model's. */
  maxLength?: number
  /** Quantizes the encoder's kernels to this many bits while they are loaded. */
  bits?: Bits
  /** How many copies of the model will be loaded, this one included: all must fit into memory. Default: 1. */
  copies?: number
  /** The most bytes of experts in memory: see `LoadOptions`. */
  expertsMemory?: number
  /** With paged experts: a file with experts that stay in memory: see `TextModelOptions`. */
  pins?: string
  /** Which checkpoint of a run. Default: the best. */
  checkpoint?: CheckpointChoice
  /** Finds the model's custom router and meaning, if it has some. */
  findValues?: (config: Pick<Weights, 'model' | 'router'>) => Promise<CustomModelValues>
  /** Receives messages for a person: which checkpoint is opened, and that texts are cut. */
  onNotice?: (message: string) => void
}

/**
 * Loads a model for vectors of texts: a run, a native checkpoint, a Hugging Face folder, a T5X checkpoint, or a folder
 * of sentence-transformers with its Pooling, Dense and Normalize modules. Only the encoder is read. Throws a FileError
 * if the files do not fit together, and a SwitchyardError if the model does not fit into memory. Experts that do
 * not fit are paged: close the embedder after use.
 */
export async function openEmbedder(path: string, options: EmbedderOptions = {}): Promise<TextEmbedder> {
  const { pooling, maxLength, bits, copies, checkpoint, expertsMemory, pins, findValues } = options
  const { onNotice = () => undefined } = options
  if (maxLength !== undefined && !(Number.isInteger(maxLength) && maxLength > 0))
    throw new ConfigError(`maxLength is ${maxLength}: it must be a positive whole number of tokens`)
  const saved = await readSentenceTransformer(path)
  const remote = remoteFor(expertsMemory, onNotice)
  const weights = encoderOf(await openWeights(saved?.transformer ?? path, { onNotice, choice: checkpoint, remote }))
  let isReadLater = false
  try {
    const codec = await modelCodec(weights, onNotice)
    const modes = pooling ? [pooling] : (saved?.pooling.modes ?? ['mean'])
    const size = checkedSize(weights.model.dModel, modes.length, saved)
    const values = await findValues?.(weights)
    const paging = await pagingOf(weights, { bits, copies, expertsMemory, pins }, onNotice)
    const dense = await Promise.all(denseLayers(saved).map(readDense))
    const { params, experts } = await loadWithPaging(weights, bits ?? null, paging)
    noteFetched(weights, onNotice)
    isReadLater = experts !== undefined
    return new TextEmbedder({
      weights: { model: params as EmbeddingWeights['model'], dense },
      options: {
        // As in generation: no token is dropped, so that no vector depends on its batch.
        config: { ...weights.model, reference: 'switchyard', dtype: 'float32' },
        router: weights.router,
        customRouter: values?.router,
        meaning: values?.meaning,
        mode: 'eval',
      },
      head: { modes, includePrompt: saved?.pooling.includePrompt ?? true, layers: saved?.layers.map(layerOf) ?? [] },
      codec: saved?.lowerCase ? lowercased(codec) : codec,
      dimension: Math.min(size, saved?.truncateDim ?? size),
      maxLength: maxLength ?? saved?.maxLength ?? (await tokenizerLimit(weights)),
      lengthProblem: tokens => lengthProblem(tokens, weights.model),
      prompts: saved?.prompts ?? {},
      defaultPrompt: saved?.defaultPrompt,
      similarity: saved?.similarity ?? 'cosine',
      onNotice,
      ...(experts && { experts, close: () => experts.close().finally(() => weights.close()) }),
    })
  } finally {
    if (!isReadLater) await weights.close()
  }
}

/** Weights without those of a decoder. */
const encoderOf = (weights: OpenedWeights): OpenedWeights => ({
  ...weights,
  specs: weights.specs.filter(({ place }) => place.stack !== 'decoder'),
})

const denseLayers = (saved?: SentenceTransformer): DenseSettings[] =>
  (saved?.layers ?? []).filter(layer => layer.kind === 'Dense')

const layerOf = (layer: SentenceTransformer['layers'][number]): VectorLayer =>
  layer.kind === 'Normalize'
    ? { kind: 'normalize' }
    : { kind: 'dense', activation: torchActivations.get(layer.activation)!, residual: layer.residual }

/** The size of a vector. Throws a FileError if a module expects another size than the module before it gives. */
function checkedSize(dModel: number, numModes: number, saved?: SentenceTransformer): number {
  const pooled = saved?.pooling.dimension ?? dModel
  if (pooled !== dModel)
    throw new FileError(`${saved!.pooling.path}: it pools vectors of ${pooled} numbers, and the model's have ${dModel}`)
  let size = dModel * numModes
  for (const { folder, inFeatures, outFeatures } of denseLayers(saved)) {
    if (inFeatures !== size)
      throw new FileError(
        `${join(folder, 'config.json')}: in_features is ${inFeatures}, and the vectors that come in have ${size} numbers`,
      )
    size = outFeatures
  }
  return size
}

async function readDense(settings: DenseSettings): Promise<DenseWeights> {
  const { kernel, bias, residual } = await readDenseWeights(settings)
  return {
    kernel: fromHost(kernel),
    ...(bias && { bias: fromHost(bias) }),
    ...(residual && { residual: fromHost(residual) }),
  }
}

/** An error message if one text of so many tokens takes more memory than is free. */
const lengthProblem = (tokens: number, model: ModelConfig): string | undefined =>
  memoryProblem(
    `a text of ${formatCount(tokens)} tokens`,
    attentionBytes(tokens, model),
    () => 'split it, or cut texts to fewer tokens (maxLength)',
  )

/** A tokenizer without a limit has a huge one, 1e30, in its configuration. */
const NO_LIMIT = 1e9

const tokenizerSchema = z.object({ model_max_length: z.number().optional() })

/** The most tokens of a text by the tokenizer_config.json beside the vocabulary; undefined if it has no limit. */
async function tokenizerLimit(weights: OpenedWeights): Promise<number | undefined> {
  for (const folder of vocabularyFolders(weights)) {
    const settings = await readOptionalSettings(join(folder, 'tokenizer_config.json'), tokenizerSchema)
    const { model_max_length: limit = NO_LIMIT } = settings
    if (Number.isInteger(limit) && limit > 0 && limit < NO_LIMIT) return limit
  }
  return undefined
}
