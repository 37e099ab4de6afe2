import { SwitchyardError } from '../base/errors.js'
import { formatBytes, formatCount } from '../base/format.js'
import { quoteJson } from '../checkpoint/format.js'
import { memoryProblem } from '../checkpoint/free-memory.js'
import type { Json } from '../checkpoint/json.js'
import { rangeOfHf } from '../checkpoint/names/hf-generation.js'
import type { Bits } from '../checkpoint/quantize.js'
import type { Weights } from '../checkpoint/weights.js'
import { checkNewTokens, loadingBytes, loadTextModel, MOST_NEW_TOKENS, weightBytes } from '../infer/load.js'
import type { LoadOptions } from '../infer/load.js'
import { unsupportedFor } from '../infer/generation-options.js'
import type { TextLimits, TextModel } from '../infer/text-generator.js'
import type { TextOptions } from '../infer/text-options.js'
import { countParameters } from '../model/parameters.js'
import type { TextCodec } from '../text/codec.js'
import { modelCodec } from './model-codec.js'
import type { CheckpointChoice } from '../train/choose-checkpoint.js'
import type { CustomModelValues } from '../train/loss.js'
import { openWeights } from './open-weights.js'
import type { OpenedWeights } from './open-weights.js'

/** A notice announces the loading of models that take more memory than this. */
const LARGE_BYTES = 2 ** 28

export interface TextModelOptions extends LoadOptions {
  /** Which checkpoint of a run. Default: the best. */
  checkpoint?: CheckpointChoice
  /** Finds the model's custom router and meaning, if it has them and they are not given. */
  findValues?: (config: Pick<Weights, 'model' | 'router'>) => Promise<CustomModelValues>
  /** The memory, in bytes, that the answers generated at once may take, to be counted in addition. Default: 0. */
  rowBytes?: number
  /** How many copies of the model will be loaded, this one included: all must fit into memory. Default: 1. */
  copies?: number
  /** Limits of the model's TextGenerator: see `TextModel`. */
  limits?: TextLimits
  /** How answers will be generated, which decides what notices say of the model's defaults. false: none will be. */
  generation?: TextOptions | false
  /** Receives messages for a person: which checkpoint is opened, or that T5's vocabulary is assumed. */
  onNotice?: (message: string) => void
}

/** A model of texts, and the folder of its weights: of a run, that of the checkpoint. */
export interface OpenedTextModel extends TextModel {
  readonly path: string
}

/** Loads the model of a run, a Hugging Face folder or a T5X checkpoint, with its vocabulary, for a TextGenerator. */
export async function openTextModel(path: string, options: TextModelOptions = {}): Promise<OpenedTextModel> {
  checkNewTokens(options.maxNewTokens)
  return loadOpened(await openTextWeights(path, options), options)
}

/** Loads a model whose parts are opened, and closes its weights. */
export async function loadOpened(
  { weights, codec, values }: TextWeights,
  options: TextModelOptions,
): Promise<OpenedTextModel> {
  const { maxNewTokens, bits, router, meaning, limits, rowBytes, copies } = options
  const { generation = {}, onNotice = () => undefined } = options
  try {
    await checkFits(weights, bits, onNotice, { rowBytes, copies })
    if (generation !== false) noteUnsupported(weights, generation, onNotice)
    const model = await loadTextModel(weights, codec, {
      // Of a run, as long as its targets; its file may say any number.
      maxNewTokens: maxNewTokens ?? (weights.texts && Math.min(weights.texts.maxNewTokens, MOST_NEW_TOKENS)),
      bits,
      router: router ?? values.router,
      meaning: meaning ?? values.meaning,
    })
    return { ...model, limits, path: weights.path, memoryProblem: requestProblem }
  } finally {
    await weights.close()
  }
}

/** An error message if a request takes more memory than is free. Free memory is read for large requests only. */
const requestProblem = (task: string, bytes: number): string | undefined =>
  bytes < LARGE_BYTES
    ? undefined
    : memoryProblem(task, bytes, () => 'shorten the input, ask for shorter answers, or for fewer beams')

/** Names the settings of a model's generation_config.json that have no effect on the answers that will be generated. */
function noteUnsupported(
  { path, model: { generation = {} } }: OpenedWeights,
  options: TextOptions,
  onNotice: (message: string) => void,
): void {
  const settings = unsupportedFor(options, generation).map(key => {
    const range = rangeOfHf(key)
    const setting = `${key} ${quoteJson(JSON.parse(generation.unsupported![key]) as Json)}`
    return range === undefined ? `${setting}, which Switchyard does not have` : `${setting}, which must be ${range}`
  })
  if (settings.length > 0)
    onNotice(
      `${path}: answers are generated without these settings of the model's generation_config.json: ${settings.join('; ')}. Correct or delete them to silence this message`,
    )
}

/** A model's weights, opened but not read, and what it needs besides them. */
export interface TextWeights {
  readonly weights: OpenedWeights
  readonly codec: TextCodec
  readonly values: CustomModelValues
}

/**
 * Opens all parts of a model of texts: its configuration, the headers of its weights, its vocabulary, and the custom
 * values that it names. Reads no parameter. Close the weights after use. Throws a FileError or a ConfigError that says
 * which part is missing.
 */
export async function openTextWeights(
  path: string,
  options: Pick<TextModelOptions, 'findValues' | 'checkpoint' | 'onNotice'>,
): Promise<TextWeights> {
  const { checkpoint, onNotice } = options
  return withTexts(await openWeights(path, { onNotice, choice: checkpoint, forText: true }), options)
}

/** Opened weights with the further parts of a model of texts. If one is missing, the weights are closed. */
export async function withTexts(
  weights: OpenedWeights,
  { findValues, onNotice = () => undefined }: Pick<TextModelOptions, 'findValues' | 'onNotice'>,
): Promise<TextWeights> {
  try {
    const codec = await modelCodec(weights, onNotice)
    return { weights, codec, values: (await findValues?.(weights)) ?? {} }
  } catch (error) {
    await weights.close()
    throw error
  }
}

/**
 * Announces the loading of a large model. Throws a SwitchyardError if the model, with `rowBytes` for the answers that
 * it generates at once, does not fit into the free memory.
 */
export async function checkFits(
  weights: OpenedWeights,
  bits: Bits | undefined,
  onNotice: (message: string) => void,
  { rowBytes = 0, copies = 1 }: Pick<TextModelOptions, 'rowBytes' | 'copies'> = {},
): Promise<void> {
  const stored = weights.bits ?? null
  const loading = new Map<Bits | null, number>()
  for (const b of new Set([bits ?? stored, 8, 4] as const)) loading.set(b, await loadingBytes(weights, b))
  // Copies are loaded one after another: only one is at its peak.
  const bytesIn = (b: Bits | null, ofRows = rowBytes, count = copies): number => {
    const once = weightBytes(weights, b)
    return Math.max(loading.get(b)!, once + ofRows) + (count - 1) * (once + ofRows)
  }
  const chosen = bits ?? stored
  const one = rowBytes > 0 ? `this model with ${formatBytes(rowBytes)} for its answers` : 'this model'
  const task = copies > 1 ? `${copies} copies (replicas) of ${one}` : one
  const problem = memoryProblem(`${weights.path}: ${task}`, bytesIn(chosen), free => {
    if (rowBytes > 0 && bytesIn(chosen, 0) <= free) return 'allow less for answers (maxMemoryBytes, --max-cache)'
    if (copies > 1 && bytesIn(chosen, rowBytes, 1) <= free) return 'load fewer copies (--replicas)'
    const smaller = ([8, 4] as const).find(b => b < (chosen ?? 32) && bytesIn(b) <= free)
    return smaller
      ? `in ${smaller} bits (--quantize int${smaller}) it takes ${formatBytes(bytesIn(smaller))}`
      : 'take a machine with more, or a smaller model'
  })
  if (problem !== undefined) throw new SwitchyardError(problem)
  const peak = loading.get(chosen)!
  if (peak > LARGE_BYTES)
    onNotice(
      `${weights.path}: ${formatCount(countParameters(weights.specs))} parameters, about ${formatBytes(weightBytes(weights, chosen))} in memory and ${formatBytes(peak)} while they are loaded${rowBytes > 0 ? `; answers take up to ${formatBytes(rowBytes)} more` : ''}`,
    )
}
