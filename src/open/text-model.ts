import { dirname, join } from 'node:path'
import { ConfigError, FileError, SwitchyardError } from '../base/errors.js'
import { formatBytes, formatCount } from '../base/format.js'
import { exists } from '../checkpoint/atomic.js'
import { memoryProblem } from '../checkpoint/free-memory.js'
import type { Bits } from '../checkpoint/quantize.js'
import { loadT5Vocabulary, loadVocabulary } from '../data/vocabularies/load-vocabulary.js'
import { vocabularyFiles } from '../text/files.js'
import { readCodec } from '../data/task.js'
import { plainCodec } from '../text/codec.js'
import type { TextCodec } from '../text/codec.js'
import type { Vocabulary } from '../text/vocabulary.js'
import { DEFAULT_NEW_TOKENS, loadTextModel, inferenceBytes } from '../infer/load.js'
import type { LoadOptions } from '../infer/load.js'
import type { TextModel } from '../infer/text-generator.js'
import { countParameters } from '../model/parameters.js'
import { openWeights } from './open-weights.js'
import type { OpenedWeights } from './open-weights.js'

/** Decoding allocates position biases and caches for the longest answer in advance, so there is a limit. */
const MOST_NEW_TOKENS = 4096

/** A notice announces the loading of models that take more memory than this. */
const LARGE_BYTES = 2 ** 28

export interface TextModelOptions extends LoadOptions {
  /** Receives messages for a person: a large model is being loaded, or T5's vocabulary is assumed. */
  onNotice?: (message: string) => void
}

/** Loads the model of a run, a Hugging Face folder or a T5X checkpoint, with its vocabulary, for a TextGenerator. */
export async function openTextModel(
  path: string,
  { maxNewTokens, bits, router, onNotice = () => undefined }: TextModelOptions = {},
): Promise<TextModel> {
  if (maxNewTokens !== undefined && maxNewTokens > MOST_NEW_TOKENS)
    throw new ConfigError(`an answer has at most ${MOST_NEW_TOKENS} tokens, not ${maxNewTokens} (maxNewTokens)`)
  const weights = await openWeights(path)
  try {
    const { codec, limit } = await codecOf(weights, onNotice)
    checkFits(weights, bits, onNotice)
    return await loadTextModel(weights, codec, { maxNewTokens: maxNewTokens ?? limit, bits, router })
  } finally {
    await weights.close()
  }
}

async function codecOf(
  { texts, path, model, container }: OpenedWeights,
  onNotice: (message: string) => void,
): Promise<{ codec: TextCodec; limit: number }> {
  if (texts) return { codec: readCodec(texts.task), limit: texts.maxNewTokens }
  // A T5X checkpoint is a folder `checkpoint_<step>` within the model's folder, which may hold the vocabulary.
  const vocabulary = await vocabularyOf(container === 't5x' ? [path, dirname(path)] : [path], model.vocabSize, onNotice)
  return { codec: plainCodec(vocabulary), limit: DEFAULT_NEW_TOKENS }
}

/** Announces the loading of a large model. Throws a SwitchyardError if the model does not fit into the free memory. */
function checkFits(weights: OpenedWeights, bits: Bits | undefined, onNotice: (message: string) => void): void {
  const needed = inferenceBytes(weights, bits)
  const problem = memoryProblem(`${weights.path}: this model`, needed, free => {
    const smaller = ([8, 4] as const).find(b => b < (bits ?? weights.bits ?? 32) && inferenceBytes(weights, b) <= free)
    return smaller
      ? `in ${smaller} bits (--quantize int${smaller}) it takes ${formatBytes(inferenceBytes(weights, smaller))}`
      : 'take a machine with more, or a smaller model'
  })
  if (problem !== undefined) throw new SwitchyardError(problem)
  if (needed > LARGE_BYTES)
    onNotice(
      `${weights.path}: ${formatCount(countParameters(weights.specs))} parameters, about ${formatBytes(needed)} in memory`,
    )
}

/** The vocabSize of T5, Flan-T5 and Switch models, which share one vocabulary. */
const T5_VOCAB_SIZE = 32_128

/**
 * The vocabulary in the first of the folders that has one. Without any, a model of T5's vocabSize gets T5's vocabulary.
 */
async function vocabularyOf(
  folders: readonly string[],
  vocabSize: number,
  onNotice: (message: string) => void,
): Promise<Vocabulary> {
  for (const folder of folders) {
    const own = await Promise.all(vocabularyFiles.map(name => exists(join(folder, name))))
    if (!own.includes(true)) continue
    const vocabulary = await loadVocabulary(folder)
    if (vocabulary.size > vocabSize)
      throw new FileError(
        `${folder}: the vocabulary has ${vocabulary.size} tokens, and the model only ${vocabSize}: it belongs to another model`,
      )
    return vocabulary
  }
  const [folder] = folders
  if (vocabSize !== T5_VOCAB_SIZE)
    throw new FileError(
      `${folder}: there is no vocabulary (${vocabularyFiles.join(', ')}) beside the weights: put the model's own there, or, for a run, convert it with --to native`,
    )
  onNotice(`${folder}: there is no vocabulary beside the weights; T5's is used`)
  return loadT5Vocabulary()
}
