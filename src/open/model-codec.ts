import { dirname, join } from 'node:path'
import { FileError } from '../base/errors.js'
import { exists } from '../checkpoint/atomic.js'
import { readCodec, taskCodec } from '../data/task.js'
import type { TaskCodec } from '../data/task.js'
import { loadT5Vocabulary, loadVocabulary } from '../data/vocabularies/load-vocabulary.js'
import { vocabularyFiles } from '../text/files.js'
import { plainCodec } from '../text/codec.js'
import type { TextCodec } from '../text/codec.js'
import type { Vocabulary } from '../text/vocabulary.js'
import type { OpenedWeights } from './open-weights.js'

type Source = Pick<OpenedWeights, 'texts' | 'path' | 'model' | 'container'>

/**
 * How a model's texts become tokens: by the codec that its run saved, or by the vocabulary beside its weights. Throws a
 * FileError if there is none. `onNotice` is told when T5's vocabulary is assumed.
 */
export async function modelCodec(source: Source, onNotice: (message: string) => void): Promise<TextCodec> {
  return source.texts ? readCodec(source.texts.task) : plainCodec(await vocabularyOf(source, onNotice))
}

/** The codec of `modelCodec`, for training the model on a task. */
export async function trainingCodec(source: Source, onNotice: (message: string) => void): Promise<TaskCodec> {
  if (source.texts) return readCodec(source.texts.task)
  const vocabulary = await vocabularyOf(source, onNotice)
  return taskCodec({ inputs: vocabulary, targets: vocabulary })
}

/** The vocabSize of T5, Flan-T5 and Switch models, which share one vocabulary. */
const T5_VOCAB_SIZE = 32_128

/**
 * Where the files of a model's vocabulary may be. A T5X checkpoint is a folder `checkpoint_<step>` within the model's
 * folder, which may hold the vocabulary.
 */
export const vocabularyFolders = ({ path, container }: Pick<Source, 'path' | 'container'>): readonly string[] =>
  container === 't5x' ? [path, dirname(path)] : [path]

/**
 * The vocabulary in the folder of the weights. Without one, a model of T5's vocabSize gets T5's vocabulary.
 */
async function vocabularyOf(source: Source, onNotice: (message: string) => void): Promise<Vocabulary> {
  const { path } = source
  const { vocabSize } = source.model
  for (const folder of vocabularyFolders(source)) {
    const own = await Promise.all(vocabularyFiles.map(name => exists(join(folder, name))))
    if (!own.includes(true)) continue
    const vocabulary = await loadVocabulary(folder)
    if (vocabulary.size > vocabSize)
      throw new FileError(
        `${folder}: the vocabulary has ${vocabulary.size} tokens, and the model only ${vocabSize}: it belongs to another model`,
      )
    return vocabulary
  }
  if (vocabSize !== T5_VOCAB_SIZE)
    throw new FileError(
      `${path}: there is no vocabulary (${vocabularyFiles.join(', ')}) beside the weights: put the model's own there, or, for a run, convert it with --to native`,
    )
  onNotice(`${path}: there is no vocabulary beside the weights; T5's is used`)
  return loadT5Vocabulary()
}
