import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { openEmbedder } from '../../src/open/embedding-model.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/embed/${name}`, import.meta.url))

interface Recorded {
  texts: string[]
  /** By the name of the prompt; "None" is the default prompt. */
  vectors: Record<string, number[][]>
  similarities: number[][]
}

const recorded = async (name: string): Promise<Recorded> =>
  JSON.parse(await readFile(`${fixture(name)}/vectors.json`, 'utf8')) as Recorded

/** The largest difference of two lists of vectors, relative to the largest number. */
function difference(actual: readonly Float32Array[], expected: readonly number[][]): number {
  expect(actual.map(vector => vector.length)).toEqual(expected.map(vector => vector.length))
  const scale = Math.max(...expected.flat().map(Math.abs))
  return Math.max(...expected.flatMap((vector, i) => vector.map((x, j) => Math.abs(x - actual[i][j])))) / scale
}

/** Vectors by sentence-transformers 6.2: see bench/peers/embed_vectors.py. */
describe('vectors agree with sentence-transformers', () => {
  it.each([
    ['the mean, a projection and length 1, as sentence-t5 and gtr-t5 are published', 'sentence-t5'],
    ['all poolings without the prompt, dense layers and prompts, as version 6 writes them', 'all-poolings'],
    ['a model that generates, without modules', 'encoder-decoder'],
  ])('%s', async (_, name) => {
    const { texts, vectors, similarities } = await recorded(name)
    const embedder = await openEmbedder(fixture(name))
    for (const [prompt, expected] of Object.entries(vectors)) {
      const actual = await embedder.embed(texts, prompt === 'None' ? {} : { prompt })
      expect(difference(actual, expected), prompt).toBeLessThan(2e-6)
    }
    const units = await embedder.embed(texts, { normalize: true })
    const measured = units.map(a => Float32Array.from(units, b => embedder.similarity(a, b)))
    expect(difference(measured, similarities)).toBeLessThan(2e-6)
  })
})
