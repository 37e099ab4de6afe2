import { expect, it } from 'vitest'
import { TokenTexts } from '../../infer/token-texts.js'
import { ByteVocabulary } from '../../text/bytes.js'
import { toChatLogprobs } from './chat-logprobs.js'
import { toCompletionLogprobs } from './completion-logprobs.js'
import { tokenName } from './token-names.js'

it('tokens that are parts of characters are named by their bytes, as in OpenAI’s API', () => {
  const vocabulary = new ByteVocabulary()
  const texts = new TokenTexts(vocabulary)
  const tokens = texts.tokensOf(vocabulary.encode('a😀')).map(token => ({ ...token, logProbability: -1, top: [] }))
  const { content } = toChatLogprobs(tokens)
  expect(content.map(({ token }) => token)).toEqual(['a', '\\xf0', '\\x9f', '\\x98', '\\x80'])
  expect(Buffer.from(content.flatMap(({ bytes }) => bytes ?? [])).toString()).toBe('a😀')
  const completion = toCompletionLogprobs(tokens, 0)
  expect(completion.tokens).toEqual(['a', 'bytes:\\xf0', 'bytes:\\x9f', 'bytes:\\x98', 'bytes:\\x80'])
  expect(completion.top_logprobs).toEqual(completion.tokens.map(token => ({ [token]: -1 })))
  // Whole characters beside parts stay. A character for wrong bytes that is meant is a text like any other.
  expect(tokenName({ text: ' é\uFFFD', bytes: [0x20, 0xc3, 0xa9, 0xe2, 0x82] })).toBe(' é\\xe2\\x82')
  const [{ token, bytes }] = toChatLogprobs([{ id: 1, text: '\uFFFD', logProbability: -1 }]).content
  expect([token, bytes]).toEqual(['\uFFFD', [0xef, 0xbf, 0xbd]])
})
