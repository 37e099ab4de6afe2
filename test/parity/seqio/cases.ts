import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Dataset } from '../../../src/data/dataset.js'
import type { TokenFields } from '../../../src/data/packing/segments.js'
import { camelCase } from './t5-cases.js'

/** The folder of SeqIO's and T5's reference values: the project's copy, or another that the environment names. */
const folder = process.env.SWITCHYARD_SEQIO_CASES ?? join(import.meta.dirname, '../../fixtures/seqio')

/** The cases of one file, such as `random.json`: a list, or a record of a list for each function. */
export function seqioCases<C>(file: string): C {
  return (JSON.parse(readFileSync(join(folder, file), 'utf8')) as { cases: C }).cases
}

/** Token ids by feature, as JSON holds them. */
export type Lists = Record<string, number[]>

/** The dataset of examples of token ids. */
export const tokenExamples = (examples: readonly Lists[]): Dataset<TokenFields> => ({
  length: examples.length,
  get: index => Object.fromEntries(Object.entries(examples[index]).map(([name, ids]) => [name, Int32Array.from(ids)])),
})

/** Token ids as JSON holds them. */
export const toLists = (features: TokenFields): Lists =>
  Object.fromEntries(Object.entries(features).map(([name, ids]) => [name, [...ids]]))

/** All examples of a dataset. */
export const allOf = <T>(dataset: Dataset<T>): T[] => Array.from({ length: dataset.length }, (_, i) => dataset.get(i))

/** Keyword arguments under the names that this project gives them: `num_classes` becomes `numClasses`. */
export const camelKeys = (args: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(args).map(([key, value]) => [camelCase(key), value]))
