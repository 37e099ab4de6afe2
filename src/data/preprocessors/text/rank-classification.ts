import { ConfigError } from '../../../base/errors.js'
import { mapDataset } from '../../dataset.js'
import type { Fields, FieldValue, Preprocessor } from '../../preprocessor.js'
import { flatMapDataset } from '../../stages/flat-map.js'
import { valueAt } from './fields.js'

/**
 * Which possible answers become examples. `train`: the right ones. `eval`: all, one after the other. `fewshot_eval`:
 * all of an input as one example, each feature a list.
 */
export type RankClassificationMode = 'train' | 'eval' | 'fewshot_eval'

export interface RankClassificationOptions {
  /** The inputs of each possible answer to an example. */
  readonly inputsFn: (example: Fields) => readonly FieldValue[]
  /** The targets of each possible answer. */
  readonly targetsFn: (example: Fields) => readonly FieldValue[]
  /** Whether each possible answer is right. */
  readonly isCorrectFn: (example: Fields) => readonly (boolean | number)[]
  readonly weightFn?: (example: Fields) => number
  /** Default: `eval`. */
  readonly mode?: RankClassificationMode
  /** Fields of the example that each possible answer keeps. */
  readonly passthroughFeatureKeys?: readonly string[]
}

const modes: readonly RankClassificationMode[] = ['train', 'eval', 'fewshot_eval']

/**
 * T5's `rank_classification`: an example becomes one for each possible answer: `{ idx, inputs, targets, is_correct,
 * weight }`. `idx` is the number of the example, and of the answer among its answers. With the postprocessor and the
 * metric of the same name, a model classifies by the log-likelihood that it gives to each answer.
 *
 * Throws a ConfigError if the functions return lists of different lengths.
 */
export function rankClassification(options: RankClassificationOptions): Preprocessor {
  const name = 'rankClassification'
  const { mode = 'eval' } = options
  if (!modes.includes(mode)) throw new ConfigError(`${name}: there is no mode "${mode}"; there are ${modes.join(', ')}`)
  return {
    name,
    apply(dataset) {
      const answers = mapDataset(dataset, (example, index) => answersOf(example, index, options, name))
      if (mode === 'fewshot_eval') return mapDataset(answers, asLists)
      return flatMapDataset(answers, all => (mode === 'train' ? all.filter(answer => answer.is_correct) : all))
    },
  }
}

function answersOf(
  example: Fields,
  index: number,
  { inputsFn, targetsFn, isCorrectFn, weightFn, passthroughFeatureKeys = [] }: RankClassificationOptions,
  name: string,
): Fields[] {
  const [inputs, targets, isCorrect] = [inputsFn(example), targetsFn(example), isCorrectFn(example)]
  if (inputs.length !== targets.length || inputs.length !== isCorrect.length)
    throw new ConfigError(
      `${name}: example ${index} has ${inputs.length} inputs, ${targets.length} targets and ${isCorrect.length} marks of right answers: they must be equally many`,
    )
  const weight = weightFn && { weight: Math.fround(weightFn(example)) }
  const kept = Object.fromEntries(passthroughFeatureKeys.map(key => [key, valueAt(example, key, name)]))
  return inputs.map((input, answer) => {
    const made: Fields = {
      idx: [index, answer],
      inputs: input,
      targets: targets[answer],
      is_correct: Boolean(isCorrect[answer]),
      ...weight,
    }
    const taken = passthroughFeatureKeys.find(key => key in made)
    if (taken !== undefined)
      throw new ConfigError(`${name}: "${taken}" is a feature that it makes: rename the example's`)
    return { ...made, ...kept }
  })
}

/** A list of records as a record of lists. */
const asLists = (records: readonly Fields[]): Fields =>
  Object.fromEntries(Object.keys(records[0] ?? {}).map(key => [key, records.map(record => record[key])]))
