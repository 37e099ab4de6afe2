import { join } from 'node:path'
import { FileError } from '../base/errors.js'
import { exists } from '../checkpoint/atomic.js'
import { isFile } from '../checkpoint/files.js'
import { openHfWeights } from '../checkpoint/names/hf-weights.js'
import { readParameters } from '../checkpoint/weights.js'
import { parseRunConfig } from '../config/validate.js'
import { loadT5Vocabulary, loadVocabulary, vocabularyFiles } from '../data/load-vocabulary.js'
import type { Vocabulary } from '../data/vocabulary.js'
import { serve } from '../infer/decode.js'
import type { TextModel } from '../infer/text-generator.js'
import type { ModelConfig } from '../model/config.js'
import { answerOptions } from '../train/evaluate.js'
import { openModel } from '../train/open-model.js'

/** How many tokens an answer of a model from elsewhere has at most, unless told. */
const DEFAULT_NEW_TOKENS = 128

/** The model of a run, or of a folder of Hugging Face with its vocabulary. */
export async function openTextModel(path: string, maxNewTokens?: number): Promise<TextModel> {
  if (await isFile(join(path, 'config.json'))) return openFolder(path, maxNewTokens ?? DEFAULT_NEW_TOKENS)
  const { params, config, codec } = await openModel(path, parseRunConfig)
  const options = answerOptions(config)
  return { params, options: { ...options, maxNewTokens: maxNewTokens ?? options.maxNewTokens }, codec }
}

async function openFolder(folder: string, maxNewTokens: number): Promise<TextModel> {
  const weights = await openHfWeights(folder)
  try {
    const vocabulary = await vocabularyOf(folder, weights.model.vocabSize)
    // Our own way of answering: nothing is dropped, and no answer depends on padding or its batch.
    const config: ModelConfig = { ...weights.model, reference: 'switchyard' }
    const { router } = weights
    return {
      // Served here, so that the experts are not kept as they were stored, too.
      params: serve(await readParameters(weights, 'float32'), { config, router, mode: 'eval' }),
      options: { config, router, maxNewTokens },
      codec: { inputs: vocabulary, targets: vocabulary, prepare: text => text },
    }
  } finally {
    await weights.close()
  }
}

/** The size of the embedding of T5, Flan-T5 and Switch models, which share a vocabulary. */
const T5_VOCAB_SIZE = 32_128

/** The folder's own vocabulary; a model of T5's size that has none gets T5's. */
async function vocabularyOf(folder: string, vocabSize: number): Promise<Vocabulary> {
  const own = await Promise.all(vocabularyFiles.map(name => exists(join(folder, name))))
  if (!own.includes(true)) {
    if (vocabSize !== T5_VOCAB_SIZE) throw new FileError(`${folder}: there is no vocabulary (${vocabularyFiles.join(', ')}) beside the weights`)
    console.error(`${folder}: there is no vocabulary beside the weights; T5's is taken`)
    return loadT5Vocabulary()
  }
  const vocabulary = await loadVocabulary(folder)
  if (vocabulary.size > vocabSize) throw new FileError(`${folder}: the vocabulary has ${vocabulary.size} tokens, and the model only ${vocabSize}: they do not belong together`)
  return vocabulary
}
