import { join } from 'node:path'
import { FileError } from '../base/errors.js'
import { treeFromPaths } from '../base/pytree.js'
import { exists } from '../checkpoint/atomic.js'
import { isFile } from '../checkpoint/files.js'
import { openHfWeights } from '../checkpoint/names/hf-weights.js'
import { readWeights } from '../checkpoint/weights.js'
import { parseRunConfig } from '../config/validate.js'
import { loadT5Vocabulary, loadVocabulary } from '../data/load-vocabulary.js'
import type { Vocabulary } from '../data/vocabulary.js'
import { fromHost } from '../engine/api/array.js'
import type { Array as EngineArray } from '../engine/api/array.js'
import type { TextModel } from '../infer/text-generator.js'
import type { ModelParams } from '../model/types.js'
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
    const entries: [string, EngineArray][] = []
    for await (const [path, tensor] of readWeights(weights, 'float32')) entries.push([path, fromHost(tensor)])
    return {
      params: treeFromPaths(entries) as unknown as ModelParams,
      // Our own way of answering: nothing is dropped, and no answer depends on padding or its batch.
      options: { config: { ...weights.model, reference: 'switchyard' }, router: weights.router, maxNewTokens },
      codec: { inputs: vocabulary, targets: vocabulary, prepare: text => text },
    }
  } finally {
    await weights.close()
  }
}

/** The folder's own vocabulary, or T5's, which T5, Flan-T5 and Switch models share, if it has none. */
async function vocabularyOf(folder: string, vocabSize: number): Promise<Vocabulary> {
  const own = await Promise.all(['spiece.model', 'tokenizer.json', 'tokenizer_config.json'].map(name => exists(join(folder, name))))
  const vocabulary = own.includes(true) ? await loadVocabulary(folder) : await loadT5Vocabulary()
  if (vocabulary.size <= vocabSize) return vocabulary
  throw new FileError(own.includes(true)
    ? `${folder}: the vocabulary has ${vocabulary.size} tokens, and the model only ${vocabSize}: they do not belong together`
    : `${folder}: there is no vocabulary (spiece.model or tokenizer.json) beside the weights, and T5's own is too large for this model of ${vocabSize} tokens`)
}
