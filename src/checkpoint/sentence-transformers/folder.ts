import { join } from 'node:path'
import * as z from 'zod'
import { FileError } from '../../base/errors.js'
import { similarities } from '../../base/similarity.js'
import type { Similarity } from '../../base/similarity.js'
import { namesIn } from '../files.js'
import { listItems, quote } from '../format.js'
import { poolingModes } from '../../nn/pooling.js'
import type { PoolingMode } from '../../nn/pooling.js'
import { torchActivations } from './activations.js'
import { readModules, settingsFile, transformerFile } from './modules.js'
import type { ModuleEntry } from './modules.js'
import { readOptionalSettings, readSettings } from './settings-file.js'

/** A folder that sentence-transformers saved: its modules with their settings. Weights are not read. */
export interface SentenceTransformer {
  readonly folder: string
  /** The folder of the Hugging Face model, whose encoder gives the vectors of the tokens. */
  readonly transformer: string
  readonly pooling: PoolingSettings
  /** The modules that a pooled vector passes through, in order. */
  readonly layers: readonly VectorLayer[]
  /** The most tokens of a text, EOS included; undefined if only the tokenizer says. */
  readonly maxLength?: number
  /** Whether texts are lowercased before they are tokenized. */
  readonly lowerCase: boolean
  /** Texts to put before a text, by name. */
  readonly prompts: Readonly<Record<string, string>>
  readonly defaultPrompt?: string
  readonly similarity: Similarity
  /** Vectors are cut to this many numbers. */
  readonly truncateDim?: number
}

export interface PoolingSettings {
  readonly path: string
  /** The size of a token's vector, if the file says it. */
  readonly dimension?: number
  /** The results of several modes are concatenated. */
  readonly modes: readonly PoolingMode[]
  /** Whether the tokens of the prompt are pooled, too. */
  readonly includePrompt: boolean
}

export interface DenseSettings {
  readonly kind: 'Dense'
  readonly folder: string
  readonly inFeatures: number
  readonly outFeatures: number
  readonly bias: boolean
  /** A key of `torchActivations`. */
  readonly activation: string
  /** Whether the input is added to the output, projected if their sizes differ. */
  readonly residual: boolean
}

export type VectorLayer = DenseSettings | { readonly kind: 'Normalize' }

/** Reads the settings of a folder's modules; undefined if the folder has no modules.json. */
export async function readSentenceTransformer(folder: string): Promise<SentenceTransformer | undefined> {
  const modules = await readModules(folder)
  if (modules === undefined) return undefined
  const [transformer, pooling, ...layers] = modules
  const of = ({ folder: path }: ModuleEntry): string => join(folder, path)
  return {
    folder,
    transformer: of(transformer),
    ...(await readTransformer(of(transformer))),
    pooling: await readPooling(of(pooling)),
    layers: await Promise.all(layers.map(module => readLayer(module.kind, of(module)))),
    ...(await readModel(folder)),
  }
}

const dimension = z.int().positive().max(1_000_000)
const transformerSchema = z.object({
  max_seq_length: z.int().positive().nullish(),
  do_lower_case: z.boolean().nullish(),
  transformer_task: z.string().default('feature-extraction'),
})

/** The settings of a Transformer. Old versions name the file by the kind of model: sentence_roberta_config.json. */
async function readTransformer(folder: string): Promise<Pick<SentenceTransformer, 'maxLength' | 'lowerCase'>> {
  const names = (await namesIn(folder)).filter(name => /^sentence_[\w-]+_config\.json$/.test(name)).sort()
  const path = join(folder, names[0] ?? transformerFile)
  const settings = await readOptionalSettings(path, transformerSchema)
  if (settings.transformer_task !== 'feature-extraction')
    throw new FileError(
      `${path}: the Transformer is for ${quote(settings.transformer_task)}, and vectors are made by "feature-extraction" only`,
    )
  return { maxLength: settings.max_seq_length ?? undefined, lowerCase: settings.do_lower_case ?? false }
}

const mode = z.enum(poolingModes)
// Loose, because older files have a flag for each mode.
const poolingSchema = z.looseObject({
  word_embedding_dimension: dimension.optional(),
  embedding_dimension: dimension.optional(),
  pooling_mode: z.union([mode, z.array(mode).min(1)]).optional(),
  include_prompt: z.boolean().default(true),
})

const modeFlags: Readonly<Record<PoolingMode, string>> = {
  cls: 'pooling_mode_cls_token',
  max: 'pooling_mode_max_tokens',
  mean: 'pooling_mode_mean_tokens',
  mean_sqrt_len_tokens: 'pooling_mode_mean_sqrt_len_tokens',
  weightedmean: 'pooling_mode_weightedmean_tokens',
  lasttoken: 'pooling_mode_lasttoken',
}

/** The settings of a Pooling: `pooling_mode`, or a flag for each mode in older files; the mean by default. */
async function readPooling(folder: string): Promise<PoolingSettings> {
  const path = join(folder, 'config.json')
  const settings = await readSettings(path, poolingSchema)
  const flagged = poolingModes.filter(name => settings[modeFlags[name]] === true)
  return {
    path,
    dimension: settings.embedding_dimension ?? settings.word_embedding_dimension,
    modes: [settings.pooling_mode ?? (flagged.length > 0 ? flagged : 'mean')].flat(),
    includePrompt: settings.include_prompt,
  }
}

const featureNames = {
  module_input_name: z.literal('sentence_embedding').default('sentence_embedding'),
  module_output_name: z.literal('sentence_embedding').nullish(),
}
const normalizeSchema = z.object(featureNames)
const denseSchema = z.object({
  in_features: dimension,
  out_features: dimension,
  bias: z.boolean().default(true),
  activation_function: z.string().default('torch.nn.modules.activation.Tanh'),
  use_residual: z.boolean().default(false),
  ...featureNames,
})

async function readLayer(kind: ModuleEntry['kind'], folder: string): Promise<VectorLayer> {
  const path = join(folder, 'config.json')
  if (kind === 'Normalize') {
    await readOptionalSettings(path, normalizeSchema)
    return { kind }
  }
  const settings = await readSettings(path, denseSchema)
  const activation = /^torch\.nn\.(?:\w+\.)*(\w+)$/.exec(settings.activation_function)?.[1] ?? ''
  if (!torchActivations.has(activation))
    throw new FileError(
      `${path}: the activation_function ${quote(settings.activation_function)} is not known here, only ${[...torchActivations.keys()].join(', ')} of torch.nn`,
    )
  return {
    kind: 'Dense',
    folder,
    inFeatures: settings.in_features,
    outFeatures: settings.out_features,
    bias: settings.bias,
    activation,
    residual: settings.use_residual,
  }
}

const modelSchema = z.object({
  prompts: z.record(z.string(), z.string().nullable()).nullish(),
  default_prompt_name: z.string().nullish(),
  similarity_fn_name: z.string().nullish(),
  truncate_dim: z.int().positive().nullish(),
  model_type: z.string().default('SentenceTransformer'),
})

/** The settings of the whole model: its prompts, and how its vectors are compared. */
async function readModel(
  folder: string,
): Promise<Pick<SentenceTransformer, 'prompts' | 'defaultPrompt' | 'similarity' | 'truncateDim'>> {
  const path = join(folder, settingsFile)
  const settings = await readOptionalSettings(path, modelSchema)
  if (settings.model_type !== 'SentenceTransformer')
    throw new FileError(
      `${path}: this is a ${quote(settings.model_type)}, and only "SentenceTransformer" has one vector for a text`,
    )
  const prompts = Object.fromEntries(Object.entries(settings.prompts ?? {}).map(([name, text]) => [name, text ?? '']))
  const defaultPrompt = settings.default_prompt_name ?? undefined
  if (defaultPrompt !== undefined && !Object.hasOwn(prompts, defaultPrompt))
    throw new FileError(
      `${path}: the default prompt ${quote(defaultPrompt)} is not among the prompts (${listItems(Object.keys(prompts).map(quote)) || 'none'})`,
    )
  return {
    prompts,
    defaultPrompt,
    similarity: similarities.find(name => name === settings.similarity_fn_name) ?? 'cosine',
    truncateDim: settings.truncate_dim ?? undefined,
  }
}
