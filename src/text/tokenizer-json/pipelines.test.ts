import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { inputIds } from '../special-tokens.js'
import { fromTokenizerJson } from '../tokenizer-json.js'

/** A tokenizer.json with the ids and texts that the tokenizers library gives: bench/peers/fuzz_tokenizers.py. */
interface Case {
  readonly tokenizer: object
  /** A text, its ids, those of an input, and the decoded text. */
  readonly texts: readonly (readonly [string, number[], number[], string])[]
  /** Random ids and their text. */
  readonly ids: readonly (readonly [number[], string])[]
}
const file = process.env.FUZZ_TOKENIZERS
const cases = JSON.parse(
  readFileSync(file ?? resolve(import.meta.dirname, '../../../test/fixtures/vocabulary/pipelines.json'), 'utf8'),
) as Case[]

it('random tokenizer.json files give the ids and texts of the tokenizers library', () => {
  const wrong: unknown[] = []
  const refused: string[] = []
  for (const { tokenizer, texts, ids: lists } of cases) {
    let vocabulary: ReturnType<typeof fromTokenizerJson>
    try {
      vocabulary = fromTokenizerJson(tokenizer)
    } catch (error) {
      refused.push((error as Error).message)
      continue
    }
    const { decoder, normalizer, pre_tokenizer: preTokenizer } = tokenizer as Record<string, unknown>
    const steps = JSON.stringify({ normalizer, preTokenizer, decoder })
    const check = (what: unknown, got: unknown, want: unknown): void => {
      if (JSON.stringify(got) !== JSON.stringify(want)) wrong.push({ steps, what, got, want })
    }
    for (const [text, ids, input, decoded] of texts) {
      check(text, vocabulary.encode(text), ids)
      check(text, inputIds(vocabulary, text), input)
      check(ids, vocabulary.decode(ids), decoded)
    }
    for (const [ids, decoded] of lists) {
      check(ids, vocabulary.decode(ids), decoded)
      const stream = vocabulary.stream()
      check(ids, [...ids.map(id => stream.push(id)), stream.end()].join(''), decoded)
    }
  }
  expect(wrong.slice(0, 5)).toEqual([])
  expect(refused).toEqual(file ? refused : [])
  if (file) console.log(`${cases.length} files, ${refused.length} refused`, new Set(refused))
})
