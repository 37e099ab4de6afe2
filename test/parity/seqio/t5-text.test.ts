import { describe, expect, it } from 'vitest'
import { datasetOf } from '../../../src/data/dataset.js'
import type { Fields, Preprocessor, PreprocessorContext } from '../../../src/data/preprocessor.js'
import * as text from '../../../src/data/preprocessors/text/text.js'
import { MapSeedCounter } from '../../../src/data/random/seed-counter.js'
import { repeatDataset } from '../../../src/data/stages/repeat.js'
import { allOf, camelKeys, seqioCases } from './cases.js'
import { camelCase } from './t5-cases.js'

interface Case {
  args: Record<string, unknown>
  input: (string | Fields)[]
  initial_seed?: number
  output?: Fields[]
  error?: string
}

/** The functions of the recorded cases of `rank_classification`, which are written in Python. */
const functions: Record<string, (example: Fields) => unknown> = {
  "ex['prefix']": example => example.prefix,
  "ex['suffix']": example => example.suffix,
  "ex['weight']": example => example.weight,
  'one_hot(label, size(prefix))': example => (example.prefix as unknown[]).map((_, i) => i === example.label),
}

/** The reference reads lines as texts, this project as examples with a text. */
const asExample = (example: string | Fields): Fields => (typeof example === 'string' ? { text: example } : example)

function makePreprocessor(name: string, args: Record<string, unknown>): Preprocessor {
  const makers = text as unknown as Record<string, (options: object) => Preprocessor>
  const options = Object.fromEntries(
    Object.entries(camelKeys(args))
      .filter(([, value]) => value !== null)
      .map(([key, value]) => [key, key.endsWith('Fn') ? functions[value as string] : value]),
  )
  return makers[camelCase(name)](options)
}

const contextOf = (seed: number): PreprocessorContext => ({
  seeds: new MapSeedCounter(seed),
  lengths: null,
  features: {},
})

describe('T5 text preprocessors equal the reference', () => {
  const cases = Object.entries(seqioCases<Record<string, Case[]>>('t5_text.json'))

  it.each(cases)('%s', (name, list) => {
    for (const [i, { args, input, initial_seed: seed = 0, output, error }] of list.entries()) {
      const run = (): Fields[] =>
        allOf(makePreprocessor(name, args).apply(datasetOf(input.map(asExample)), contextOf(seed)))
      if (error !== undefined) expect(run, `${name}[${i}]`).toThrow()
      else expect(run(), `${name}[${i}]`).toEqual(output)
    }
  })

  it.each(cases)('%s gives random access', (name, list) => {
    const isRandom = list.some(({ initial_seed }) => initial_seed !== undefined)
    for (const { args, input, initial_seed: seed = 0, output } of list) {
      if (output === undefined || output.length === 0) continue
      const examples = datasetOf(input.map(asExample))
      const dataset = makePreprocessor(name, args).apply(examples, contextOf(seed))
      for (let i = output.length - 1; i >= 0; i--) expect(dataset.get(i)).toEqual(output[i])
      // In a repetition, random numbers and the numbers of examples are new.
      if (isRandom || name.startsWith('rank_classification')) continue
      const endless = makePreprocessor(name, args).apply(repeatDataset(examples, null), contextOf(seed))
      for (const i of [0, output.length, 1000 * output.length + 1])
        expect(endless.get(i)).toEqual(output[i % output.length])
    }
  })
})
