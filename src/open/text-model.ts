import { quoteJson } from '../checkpoint/format.js'
import { memoryProblem } from '../checkpoint/free-memory.js'
import type { Json } from '../checkpoint/json.js'
import { rangeOfHf } from '../checkpoint/names/hf-generation.js'
import type { Weights } from '../checkpoint/weights.js'
import { checkNewTokens, loadTextModel, MOST_NEW_TOKENS } from '../infer/load.js'
import type { LoadOptions } from '../infer/load.js'
import { unsupportedFor } from '../infer/generation-options.js'
import type { TextLimits, TextModel } from '../infer/text-generator.js'
import type { TextOptions } from '../infer/text-options.js'
import type { TextCodec } from '../text/codec.js'
import { checkFits, LARGE_BYTES } from './check-fits.js'
import type { FitOptions } from './check-fits.js'
import { noteFetched, remoteFor } from './left-weights.js'
import { modelCodec } from './model-codec.js'
import type { CheckpointChoice } from '../train/choose-checkpoint.js'
import type { CustomModelValues } from '../train/loss.js'
import { openWeights } from './open-weights.js'
import type { OpenedWeights } from './open-weights.js'
import { readPins } from './read-pins.js'
import { pathOrShipped } from './shipped-models.js'

export interface TextModelOptions extends Omit<LoadOptions, 'pinned'> {
  /** Which checkpoint of a run. Default: the best. */
  checkpoint?: CheckpointChoice
  /** Finds the model's custom router and meaning, if it has them and they are not given. */
  findValues?: (config: Pick<Weights, 'model' | 'router'>) => Promise<CustomModelValues>
  /** The memory, in bytes, that the answers generated at once may take, to be counted in addition. Default: 0. */
  rowBytes?: number
  /** How many copies of the model will be loaded, this one included: all must fit into memory. Default: 1. */
  copies?: number
  /**
   * With paged experts: a file with the experts that stay in memory once they are read, as `switchyard experts pin`
   * writes it.
   */
  pins?: string
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

/**
 * Loads the model of a run, a Hugging Face folder or a T5X checkpoint, or one that comes with the package by its name
 * (`g2p`), with its vocabulary, for a TextGenerator. Experts that do not fit into memory are paged: close the model or
 * its TextGenerator after use.
 */
export async function openTextModel(path: string, options: TextModelOptions = {}): Promise<OpenedTextModel> {
  checkNewTokens(options.maxNewTokens)
  return loadOpened(await openTextWeights(path, options), options)
}

/**
 * Loads a model whose parts are opened, and closes its weights: at once, or with the model if its experts are paged.
 */
export async function loadOpened(
  { weights, codec, values }: TextWeights,
  options: TextModelOptions,
): Promise<OpenedTextModel> {
  const { maxNewTokens, bits, router, meaning, limits, generation = {}, onPaging } = options
  const { onNotice = () => undefined } = options
  let isReadLater = false
  try {
    const { expertsMemory, pinned } = await pagingOf(weights, options, onNotice)
    if (generation !== false) noteUnsupported(weights, generation, onNotice)
    const model = await loadTextModel(weights, codec, {
      // Of a run, as long as its targets; its file may say any number.
      maxNewTokens: maxNewTokens ?? (weights.texts && Math.min(weights.texts.maxNewTokens, MOST_NEW_TOKENS)),
      bits,
      router: router ?? values.router,
      meaning: meaning ?? values.meaning,
      expertsMemory,
      pinned,
      onPaging,
    })
    noteFetched(weights, onNotice)
    const opened = { ...model, limits, onNotice, path: weights.path, memoryProblem: requestProblem }
    const { close } = model
    if (close === undefined) return opened
    isReadLater = true
    return { ...opened, close: () => close().finally(() => weights.close()) }
  } finally {
    if (!isReadLater) await weights.close()
  }
}

/** How a model's experts are paged, with notices about it. If `expertsMemory` is undefined, they are all loaded. */
export async function pagingOf(
  weights: OpenedWeights,
  { pins, ...options }: FitOptions & Pick<TextModelOptions, 'pins'>,
  onNotice: (message: string) => void,
): Promise<Pick<LoadOptions, 'expertsMemory' | 'pinned'>> {
  const expertsMemory = await checkFits(weights, options, onNotice)
  const pinned = pins === undefined ? undefined : await readPins(pins)
  if (expertsMemory === undefined) {
    if (pins !== undefined) onNotice(`${pins} has no effect: all experts of ${weights.path} are in memory`)
    return {}
  }
  const { bits } = options
  if (bits !== undefined && weights.bits === undefined && !weights.remote)
    onNotice(
      `${weights.path}: its experts are stored in floating point and are quantized each time they are read. Quantize them once, and read less: switchyard convert ${weights.path} FOLDER --to native --dtype int${bits}`,
    )
  return { expertsMemory, pinned }
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
  options: Pick<TextModelOptions, 'findValues' | 'checkpoint' | 'expertsMemory' | 'onNotice'>,
): Promise<TextWeights> {
  const { checkpoint, expertsMemory, onNotice } = options
  const remote = remoteFor(expertsMemory, onNotice)
  return withTexts(
    await openWeights(await pathOrShipped(path), { onNotice, choice: checkpoint, forText: true, remote }),
    options,
  )
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
