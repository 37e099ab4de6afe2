import { expect, it } from 'vitest'
import { ByteVocabulary } from '../text/bytes.js'
import { answerVocabulary } from './answer-vocabulary.js'

it("a model that does not end with the vocabulary's EOS goes on after it, up to its own, whole or in a stream", () => {
  const vocabulary = new ByteVocabulary()
  const [a, b] = vocabulary.encode('ab')
  const ids = [a, vocabulary.eosId, a, b, a]
  const textOf = (eosIds: readonly number[]): string[] => {
    const { decode, stream } = answerVocabulary(vocabulary, eosIds)
    const pieces = stream.call(vocabulary)
    return [decode.call(vocabulary, ids), ids.map(id => pieces.push(id)).join('') + pieces.end()]
  }
  expect(textOf([b])).toEqual(['aa', 'aa'])
  expect(answerVocabulary(vocabulary, [b]).eosId).toBe(b)
  expect(textOf([vocabulary.eosId, b])).toEqual(['a', 'a'])
})
