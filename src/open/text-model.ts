import { dirname, join } from 'node:path'
import { ConfigError, FileError, SwitchyardError } from '../base/errors.js'
import { formatBytes, formatCount } from '../base/format.js'
import { exists } from '../checkpoint/atomic.js'
import type { Bits } from '../checkpoint/quantize.js'
import { loadT5Vocabulary, loadVocabulary } from './load-vocabulary.js'
import { vocabularyFiles } from '../text/files.js'
import { taskFromSpec } from '../data/task.js'
import type { Vocabulary } from '../text/vocabulary.js'
import { loadServed, servedBytes } from '../infer/load.js'
import type { TextModel } from '../infer/text-generator.js'
import { countParameters } from '../model/parameters.js'
import { openWeights } from './open-weights.js'
import type { OpenedWeights } from './open-weights.js'

/** How many tokens an answer of a model from elsewhere has at most, unless told. */
const DEFAULT_NEW_TOKENS = 128

/** Attention of each token to each other one takes memory from the start. */
const MOST_NEW_TOKENS = 4096

/** Models that take more are announced before they are loaded. */
const LARGE_BYTES = 2 ** 28

export interface TextModelOptions {
  maxNewTokens?: number
  /** Kernels are quantized to so many bits as they are loaded. */
  bits?: Bits
  /** Told, for a person, of a large load that begins, and of a vocabulary that is taken for granted. */
  onNotice?: (message: string) => void
}

/** The model of a run, of a folder of Hugging Face or of a checkpoint of T5X, with its vocabulary. */
export async function openTextModel(
  path: string,
  { maxNewTokens, bits, onNotice = () => undefined }: TextModelOptions = {},
): Promise<TextModel> {
  if (maxNewTokens !== undefined && maxNewTokens > MOST_NEW_TOKENS)
    throw new ConfigError(`an answer has at most ${MOST_NEW_TOKENS} tokens, not ${maxNewTokens} (maxNewTokens)`)
  const weights = await openWeights(path)
  try {
    const { codec, limit } = await codecOf(weights, onNotice)
    checkFits(weights, bits, onNotice)
    // Our own way of answering: nothing is dropped, and no answer depends on padding or its batch.
    const config = { ...weights.model, reference: 'switchyard', dtype: 'float32' } as const
    return {
      params: await loadServed(weights, bits),
      options: { config, router: weights.router, maxNewTokens: maxNewTokens ?? limit, release: true },
      codec,
    }
  } finally {
    await weights.close()
  }
}

async function codecOf(
  { texts, path, model, container }: OpenedWeights,
  onNotice: (message: string) => void,
): Promise<{ codec: TextModel['codec']; limit: number }> {
  if (texts) return { codec: taskFromSpec(texts.task), limit: texts.maxNewTokens }
  // A checkpoint of T5X is a folder `checkpoint_<step>` in the model's.
  const vocabulary = await vocabularyOf(container === 't5x' ? [path, dirname(path)] : [path], model.vocabSize, onNotice)
  return { codec: { inputs: vocabulary, targets: vocabulary, prepare: text => text }, limit: DEFAULT_NEW_TOKENS }
}

/** Announces a large load, and refuses one that cannot fit before it is tried. */
function checkFits(weights: OpenedWeights, bits: Bits | undefined, onNotice: (message: string) => void): void {
  const [needed, free] = [servedBytes(weights, bits), process.availableMemory()]
  if (needed > free) {
    const smaller = ([8, 4] as const).find(b => b < (bits ?? weights.bits ?? 32) && servedBytes(weights, b) <= free)
    throw new SwitchyardError(
      `${weights.path}: answering takes about ${formatBytes(needed)} of memory, and ${formatBytes(free)} are free: ` +
        (smaller
          ? `in ${smaller} bits (--quantize int${smaller}) it takes ${formatBytes(servedBytes(weights, smaller))}`
          : 'take a machine with more, or a smaller model'),
    )
  }
  if (needed > LARGE_BYTES)
    onNotice(
      `${weights.path}: ${formatCount(countParameters(weights.specs))} parameters, about ${formatBytes(needed)} in memory`,
    )
}

/** The size of the embedding of T5, Flan-T5 and Switch models, which share a vocabulary. */
const T5_VOCAB_SIZE = 32_128

/** The vocabulary in one of the folders; a model of T5's size that has none gets T5's. */
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
        `${folder}: the vocabulary has ${vocabulary.size} tokens, and the model only ${vocabSize}: they do not belong together`,
      )
    return vocabulary
  }
  const [folder] = folders
  if (vocabSize !== T5_VOCAB_SIZE)
    throw new FileError(`${folder}: there is no vocabulary (${vocabularyFiles.join(', ')}) beside the weights`)
  onNotice(`${folder}: there is no vocabulary beside the weights; T5's is taken`)
  return loadT5Vocabulary()
}
