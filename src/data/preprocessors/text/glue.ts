import type { Fields, FieldValue, Preprocessor } from '../../preprocessor.js'
import { flatMapDataset } from '../../stages/flat-map.js'
import { eachExample, labelName, numberAt, textAt, textsAt, valueAt } from './fields.js'

export interface GlueOptions {
  /** The benchmark's name, with which the inputs begin: `qqp`. */
  readonly benchmarkName: string
  /** The texts of the labels 0, 1, ... */
  readonly labelNames: readonly string[]
  /** The text features in the order of the inputs. Default: all but `idx` and `label`, by name. */
  readonly featureNames?: readonly string[]
  /** The feature that becomes `idx`; null for none. Default: `idx`. */
  readonly idKey?: string | null
}

/**
 * T5's `glue`: `{ inputs: 'qqp question1: ... question2: ...', targets: <label's text>, idx }`. The label -1 (none) is
 * "<unk>". For `multirc`, <br> becomes a space, <b> and </b> are removed, and `idx` becomes `idx/paragraph`,
 * `idx/question` and `idx/answer`.
 */
export const glue = ({ benchmarkName, labelNames, featureNames, idKey = 'idx' }: GlueOptions): Preprocessor =>
  eachExample('glue', example => {
    const keys =
      featureNames ??
      Object.keys(example)
        .filter(key => key !== 'label' && key !== 'idx')
        .sort()
    const text = [benchmarkName, ...keys.map(key => `${key}: ${textAt(example, key, 'glue')}`)].join(' ')
    const isMultirc = benchmarkName === 'multirc'
    return {
      ...(isMultirc ? indices(example, ['paragraph', 'question', 'answer'], 'glue') : {}),
      ...(!isMultirc && idKey !== null ? { idx: valueAt(example, idKey, 'glue') } : {}),
      inputs: isMultirc ? text.replaceAll('<br>', ' ').replace(/<\/?b>/g, '') : text,
      targets: labelName(numberAt(example, 'label', 'glue'), labelNames, 'glue'),
    }
  })

/** `idx: { question }` as `idx/question`. */
const indices = (example: Fields, keys: readonly string[], name: string): Record<string, FieldValue> =>
  Object.fromEntries(keys.map(key => [`idx/${key}`, valueAt(example, `idx/${key}`, name)]))

/**
 * T5's `stsb`: the similarity of two sentences as a text, rounded to the nearest multiple of 0.2 (ties to an even
 * multiple): `{ inputs: 'stsb sentence1: ... sentence2: ...', targets: '3.4', idx }`.
 */
export const stsb = (): Preprocessor =>
  eachExample('stsb', example => {
    const fifths = Math.fround(Math.fround(numberAt(example, 'label', 'stsb')) * 5)
    const [first, second] = ['sentence1', 'sentence2'].map(key => textAt(example, key, 'stsb'))
    return {
      inputs: `stsb sentence1: ${first} sentence2: ${second}`,
      targets: Math.fround(roundHalfToEven(fifths) / 5).toFixed(1),
      idx: valueAt(example, 'idx', 'stsb'),
    }
  })

function roundHalfToEven(value: number): number {
  const below = Math.floor(value)
  if (value - below !== 0.5) return Math.round(value)
  return below % 2 === 0 ? below : below + 1
}

/**
 * T5's `record` (ReCoRD): an example for each right answer, with all `answers`, `idx/passage` and `idx/query`; without
 * answers, one with the targets "<unk>". A line "@highlight" of the passage becomes the end of a sentence.
 */
export const record = (): Preprocessor => ({
  name: 'record',
  apply: dataset =>
    flatMapDataset(dataset, example => {
      const passage = textAt(example, 'passage', 'record')
        .replace(/([.?!"'])\n@highlight\n/g, '$1 ')
        .replaceAll('\n@highlight\n', '. ')
      const entities = textsAt(example, 'entities', 'record').join(', ')
      const answers = textsAt(example, 'answers', 'record')
      return (answers.length > 0 ? answers : ['<unk>']).map(targets => ({
        ...indices(example, ['passage', 'query'], 'record'),
        inputs: `record query: ${textAt(example, 'query', 'record')} entities: ${entities} passage: ${passage}`,
        targets,
        answers,
      }))
    }),
})
