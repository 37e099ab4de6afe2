import { ConfigError } from '../../base/errors.js'
import { PAD_ID } from '../../text/vocabulary.js'
import type { Feature, Fields, Preprocessor, PreprocessorContext } from '../preprocessor.js'

/** The token ids of a feature. Throws a ConfigError that names the stage if there are none. */
export function tokensOf(example: Fields, feature: string, stage: string): Int32Array {
  const tokens = example[feature]
  if (tokens instanceof Int32Array) return tokens
  const problem = tokens === undefined ? 'an example has no such feature' : `an example has ${describe(tokens)} instead`
  throw new ConfigError(`${stage} needs token ids in "${feature}", but ${problem}: put tokenize before it`)
}

const describe = (value: unknown): string => (typeof value === 'string' ? 'text' : `a value of type ${typeof value}`)

/** The length of a feature's rows. Throws a ConfigError that names the stage if it is not known. */
export function rowLength({ lengths }: PreprocessorContext, feature: string, stage: string): number {
  const length = lengths?.[feature]
  if (length !== undefined) return length
  throw new ConfigError(`${stage} needs the length of "${feature}" in tokens: give the task's lengths`)
}

/** The length of a feature's rows without the place of EOS, if the feature ends with one. */
export function roomOf(context: PreprocessorContext, feature: string, stage: string): number {
  return rowLength(context, feature, stage) - ((featureOf(context, feature, stage).addEos ?? true) ? 1 : 0)
}

/** A feature's description. Throws a ConfigError that names the stage if the task has no such feature. */
export function featureOf({ features }: PreprocessorContext, feature: string, stage: string): Feature {
  const found = features[feature]
  if (found !== undefined) return found
  throw new ConfigError(
    `${stage} needs the task's feature "${feature}": the task has ${Object.keys(features).join(', ')}`,
  )
}

/** The padding id of a feature's vocabulary; 0, as in SeqIO, if the task has no such feature. */
export const padIdOf = ({ features }: PreprocessorContext, feature: string): number =>
  (features[feature] as Feature | undefined)?.vocabulary.padId ?? PAD_ID

/** Throws a ConfigError that names the stage if the vocabulary of the targets has no sentinels. */
export function requireSentinels(context: PreprocessorContext, stage: string): void {
  if (featureOf(context, 'targets', stage).vocabulary.sentinelIds.length === 0)
    throw new ConfigError(
      `${stage} puts sentinels (<extra_id_0>) in the place of noise, and the vocabulary of "targets" has none: use one that has, such as T5's`,
    )
}

export interface FeatureKeys {
  /** The feature whose tokens are cut. Default: targets. */
  readonly featureKey?: string
  /** Features that are cut at the same places. They must be as long. */
  readonly additionalFeatureKeys?: readonly string[]
  /** Features that pass unchanged. Features that are not named are dropped. */
  readonly passthroughFeatureKeys?: readonly string[]
}

/** Checks and completes a preprocessor's keys. */
export function featureKeys(stage: string, options: FeatureKeys): Required<FeatureKeys> {
  const { featureKey = 'targets', additionalFeatureKeys = [], passthroughFeatureKeys = [] } = options
  const both = [featureKey, ...additionalFeatureKeys].filter(key => passthroughFeatureKeys.includes(key))
  if (both.length > 0) throw new ConfigError(`${stage} cannot both cut "${both[0]}" and pass it unchanged`)
  return { featureKey, additionalFeatureKeys, passthroughFeatureKeys }
}

/** The example cut to tokens `from` to `to` of the features that are cut, with those that pass unchanged. */
export function cutExample(
  example: Fields,
  keys: Required<FeatureKeys>,
  [from, to]: readonly [number, number],
  stage: string,
): Fields {
  const tokens = tokensOf(example, keys.featureKey, stage)
  const part = (all: Int32Array): Int32Array => (from === 0 && to === all.length ? all : all.subarray(from, to))
  const cut: { [name: string]: Fields[string] } = { [keys.featureKey]: part(tokens) }
  for (const key of keys.additionalFeatureKeys) {
    const additional = tokensOf(example, key, stage)
    if (additional.length !== tokens.length)
      throw new ConfigError(
        `${stage} needs "${key}" to be as long as "${keys.featureKey}": an example has ${additional.length} and ${tokens.length} tokens`,
      )
    cut[key] = part(additional)
  }
  for (const key of keys.passthroughFeatureKeys) {
    if (example[key] === undefined)
      throw new ConfigError(`${stage} cannot pass "${key}": an example has no such feature`)
    cut[key] = example[key]
  }
  return cut
}

/** Preprocessors applied one after the other, as one. */
export const chain = (name: string, stages: readonly Preprocessor[]): Preprocessor => ({
  name,
  apply: (dataset, context) => stages.reduce((result, stage) => stage.apply(result, context), dataset),
})
