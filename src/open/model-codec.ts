import { dirname, join, resolve } from 'node:path'
import { FileError } from '../base/errors.js'
import { areT5s } from '../base/special-ids.js'
import { exists } from '../checkpoint/atomic.js'
import type { TaskCodec } from '../data/task.js'
import { loadT5Vocabulary, loadVocabulary } from '../data/vocabularies/load-vocabulary.js'
import { vocabularyFiles } from '../text/files.js'
import { plainCodec } from '../text/codec.js'
import type { TextCodec } from '../text/codec.js'
import type { Vocabulary } from '../text/vocabulary.js'
import { specialIdsOf } from '../model/config.js'
import type { OpenedWeights } from './open-weights.js'

type Place = Pick<OpenedWeights, 'path' | 'container' | 'base'>
type Source = Place & Pick<OpenedWeights, 'texts' | 'model'>

/**
 * How a model's texts become tokens: by the codec that its run saved, or by the vocabulary beside its weights. Throws a
 * FileError if there is none. `onNotice` is told when T5's vocabulary is assumed.
 */
export async function modelCodec(source: Source, onNotice: (message: string) => void): Promise<TextCodec> {
  if (!source.texts) return plainCodec(await vocabularyOf(source, onNotice))
  const { readCodec } = await import('../data/task.js')
  return readCodec(source.texts.task)
}

/** The codec of `modelCodec`, for training the model on a task. */
export async function trainingCodec(source: Source, onNotice: (message: string) => void): Promise<TaskCodec> {
  const { readCodec, taskCodec } = await import('../data/task.js')
  if (source.texts) return readCodec(source.texts.task)
  const vocabulary = await vocabularyOf(source, onNotice)
  return taskCodec({ inputs: vocabulary, targets: vocabulary })
}

/** The vocabSize of T5, Flan-T5 and Switch models, which share one vocabulary. */
const T5_VOCAB_SIZE = 32_128

/**
 * Where the files of a model's vocabulary may be. A T5X checkpoint is a folder `checkpoint_<step>` within the model's
 * folder, which may hold the vocabulary. An adapter of PEFT may have the vocabulary beside it, or has that of its base.
 */
export const vocabularyFolders = ({ path, container, base }: Place): readonly string[] =>
  base ? [path, ...vocabularyFolders(base)] : container === 't5x' ? [path, dirname(path)] : [path]

/** The model that an adapter of PEFT is merged into; of any other model, the model itself. */
const baseOf = (place: Place): Place => (place.base ? baseOf(place.base) : place)

/** The words of which one must be in the name of a model that has T5's vocabulary. */
const familyWords: readonly string[] = ['t5', 'switch']

/**
 * The words of such names, as in `flan-t5-xl`, `t5_1_1_small`, `t5-large-lm-adapt`, `t5-efficient-base-nl36` and
 * `switch-c-2048`: families, versions, sizes, what T5 itself was trained on, and how a copy is stored. A name with any
 * other word may be of a model that was trained with a vocabulary of its own, as `t5-base-japanese` was.
 */
const T5_WORD = new RegExp(
  `^(${[
    't5x?|flan|switch|transformers?|tiny|mini|small|base|large|x+l|[a-z]?\\d*[bmk]?|(nl|el|dl|ff|dm|s?kv|n?sh|nh)\\d+',
    'efficient|lm\\d*k?|adapt(ed)?|ssm|nqo?|tqao?|wqo?',
    'models?|weights|checkpoints?|hf|huggingface|safetensors|native|torch|pytorch|jax|flax|(bf|fp|float|bfloat)(16|32)|int[48]',
    'my|copy|converted|original|pretrained|finetuned|tuned|ft|test',
  ].join('|')})$`,
)

/** Folders that are named by a step or a revision: the model's name is that of the folder above. */
const UNNAMED = /^(checkpoint_\d+|step-\d+|[0-9a-f]{40}|main|snapshots)$/

/** A model's name by the path of its folder. The hub's cache names folders models--OWNER--NAME. */
export const folderName = (path: string): string => {
  const folders = resolve(path).split(/[\\/]/)
  const folder = folders.reverse().find(part => !UNNAMED.test(part)) ?? ''
  return folder.replace(/^models--.*--/, '')
}

/**
 * Whether a model without a vocabulary beside it has T5's: the folder's name or the hub's says so, and its size and
 * special ids agree.
 */
function isT5s({ model, ...place }: Source): boolean {
  const words = folderName(baseOf(place).path)
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
  if (model.vocabSize !== T5_VOCAB_SIZE || !words.some(word => familyWords.includes(word))) return false
  if (!words.every(word => T5_WORD.test(word))) return false
  const { padId, eosIds, decoderStartId } = specialIdsOf(model)
  return areT5s({ padId, eosIds, decoderStartId })
}

/** Where a model's vocabulary is; `none` if there is none. */
export type VocabularyPlace =
  | { readonly kind: 'saved' }
  | { readonly kind: 'files'; readonly folder: string; readonly files: readonly string[] }
  | { readonly kind: 'assumed' }
  | { readonly kind: 'none' }

/**
 * Finds a model's vocabulary: in its run or native checkpoint, or in files beside its weights. A model that is named as
 * T5's own models are has T5's without any. No file is read.
 */
export async function findVocabulary(source: Source): Promise<VocabularyPlace> {
  if (source.texts) return { kind: 'saved' }
  for (const folder of vocabularyFolders(source)) {
    const own = await Promise.all(vocabularyFiles.map(name => exists(join(folder, name))))
    const files = vocabularyFiles.filter((_, i) => own[i])
    if (files.length > 0) return { kind: 'files', folder, files }
  }
  return { kind: isT5s(source) ? 'assumed' : 'none' }
}

/** The vocabulary of a model that has not saved one. T5's is assumed with a notice. */
async function vocabularyOf(source: Source, onNotice: (message: string) => void): Promise<Vocabulary> {
  const { path } = source
  const { vocabSize } = source.model
  const found = await findVocabulary(source)
  if (found.kind === 'files') {
    const vocabulary = await loadVocabulary(found.folder)
    if (vocabulary.size > vocabSize)
      throw new FileError(
        `${found.folder}: the vocabulary has ${vocabulary.size} tokens, and the model only ${vocabSize}: it belongs to another model`,
      )
    return vocabulary
  }
  if (found.kind === 'none')
    throw new FileError(
      `${path}: there is no vocabulary (${vocabularyFiles.join(', ')}) beside the weights: put the model's own there${vocabSize === T5_VOCAB_SIZE ? " (T5's is assumed only in a folder that is named as T5's own models are, such as t5-base)" : ''}`,
    )
  onNotice(`${path}: there is no vocabulary beside the weights; T5's is used, as the model's name says`)
  return loadT5Vocabulary()
}
