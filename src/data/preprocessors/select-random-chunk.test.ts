import { expect, it } from 'vitest'
import { datasetOf } from '../dataset.js'
import type { PreprocessorContext } from '../preprocessor.js'
import { MapSeedCounter } from '../random/seed-counter.js'
import { repeatDataset } from '../stages/repeat.js'
import { selectRandomChunk } from './select-random-chunk.js'

const context = (): PreprocessorContext => ({ seeds: new MapSeedCounter(3), lengths: null, features: {} })
const ascending = (length: number) => ({ targets: Int32Array.from({ length }, (_, i) => i) })

it('knows that examples repeat only if no document is cut', () => {
  const short = repeatDataset(datasetOf([ascending(4), ascending(0), ascending(7)]), null)
  const whole = selectRandomChunk({ maxLength: 7 }).apply(short, context())
  whole.get(100)
  expect(whole.period).toBe(2)
  const cut = selectRandomChunk({ maxLength: 6 }).apply(short, context())
  cut.get(100)
  expect(cut.period).toBeUndefined()
})

it('draws another chunk of a long document in each epoch', () => {
  const chunks = selectRandomChunk({ maxLength: 65536 }).apply(
    repeatDataset(datasetOf([ascending(400_000)]), null),
    context(),
  )
  const starts = Array.from({ length: 40 }, (_, i) => (chunks.get(i).targets as Int32Array)[0])
  expect(new Set(starts).size).toBe(7)
  expect(starts.every(start => start % 65536 === 0)).toBe(true)
})

it('checks its features and lengths', () => {
  const one = datasetOf([{ ...ascending(4), other: new Int32Array(3) }])
  const both = selectRandomChunk({ maxLength: 5, additionalFeatureKeys: ['other'] }).apply(one, context())
  expect(() => both.get(0)).toThrow('needs "other" to be as long as "targets": an example has 3 and 4 tokens')
  expect(() => selectRandomChunk({ passthroughFeatureKeys: ['targets'] })).toThrow('cannot both cut "targets"')
  expect(() => selectRandomChunk({ maxLength: 0 }).apply(one, context())).toThrow('chunks of 1 or more tokens, not 0')
  expect(() => selectRandomChunk({ maxLength: 4, minLength: 4 }).apply(one, context())).toThrow(
    'a least length from 1 to 3, below the greatest one, not 4',
  )
  expect(() => selectRandomChunk().apply(one, context())).toThrow('needs the length of "targets"')
})
