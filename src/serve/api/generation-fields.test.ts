import { describe, expect, it } from 'vitest'
import { FakeModel } from '../../../test/fake-served-model.js'
import { ApiError } from '../http/api-error.js'
import { formatConstraint } from './constraints.js'
import { sentOptions } from './generation-fields.js'
import type { AnswerSize, GenerationFields } from './generation-fields.js'

const { facts } = new FakeModel('fake', { maxNewTokens: 50 })
const none = { maxTokens: null, maxTokensField: 'max_tokens', answers: 1, logProbabilities: null }
const sent = (fields: GenerationFields, size: Partial<AnswerSize> = {}) =>
  sentOptions(fields, { ...none, ...size }, facts)

describe('what a request says about generation', () => {
  it('is nothing if it says nothing: the defaults of the model hold', () => {
    expect(sent({})).toEqual({ numReturned: 1 })
    expect(sent({ temperature: null, stop: null, n: null, stream: null, top_p: null })).toEqual({ numReturned: 1 })
    expect(sent({ stop: [], bad_words: [], no_repeat_ngram_size: 0 })).toEqual({ numReturned: 1 })
  })

  it('has the names of TextOptions', () => {
    const fields = {
      min_tokens: 2,
      stop: 'x',
      bad_words: ['y'],
      repetition_penalty: 1.5,
      no_repeat_ngram_size: 3,
      return_experts: true,
    }
    expect(sent(fields, { maxTokens: 9, logProbabilities: 4 })).toEqual({
      maxNewTokens: 9,
      minNewTokens: 2,
      numReturned: 1,
      logProbabilities: 4,
      experts: true,
      stop: ['x'],
      banned: ['y'],
      repetitionPenalty: 1.5,
      noRepeatNgram: 3,
    })
  })

  it('is greedy search at temperature 0, whatever else is said about sampling', () => {
    expect(sent({ temperature: 0, top_p: 0.5, seed: 3 })).toEqual({ numReturned: 1, doSample: false })
  })

  it.each<[GenerationFields, object]>([
    [{ temperature: 0.7 }, { temperature: 0.7 }],
    [{ top_p: 0.5 }, { topP: 0.5 }],
    [
      { top_k: 4, min_p: 0.1 },
      { topK: 4, minP: 0.1 },
    ],
    [{ top_k: -1, temperature: 1 }, { temperature: 1 }],
  ])('samples with %j', (fields, options) => {
    const { seed, ...rest } = sent(fields)
    expect(rest).toEqual({ numReturned: 1, doSample: true, ...options })
    expect(seed).not.toBe(sent(fields).seed)
    expect(sent({ ...fields, seed: 7 }).seed).toBe(7)
  })

  it('samples with a seed alone, or for several answers', () => {
    expect(sent({ seed: -1 })).toEqual({ numReturned: 1, doSample: true, seed: 0xffffffff })
    expect(sent({}, { answers: 3 })).toMatchObject({ numReturned: 3, doSample: true })
  })

  it('is beam search with beams, which OpenAI’s neutral values leave as it is', () => {
    const beams = { num_beams: 4, length_penalty: 2, early_stopping: 'never' as const }
    const options = { numReturned: 3, numBeams: 4, lengthPenalty: 2, earlyStopping: 'never' }
    expect(sent({ ...beams, temperature: 1, top_p: 1, top_k: -1, seed: 1 }, { answers: 3 })).toEqual(options)
    expect(sent({ num_beams: 1 })).toEqual({ numReturned: 1, numBeams: 1 })
  })

  it.each<[GenerationFields, object]>([
    [{ structured_outputs: { choice: ['a', 'b'] } }, { choices: ['a', 'b'] }],
    [{ structured_outputs: { regex: '[ab]+' } }, { regex: '[ab]+' }],
    [{ structured_outputs: { json: { type: 'array' } } }, { jsonSchema: { type: 'array' } }],
    [{ structured_outputs: { json: '{"type": "array"}' } }, { jsonSchema: { type: 'array' } }],
  ])('restricts the answer: %j', (fields, options) => {
    expect(sent(fields)).toEqual({ numReturned: 1, ...options })
  })

  it('restricts the answer by a response format, unless both are given', () => {
    const format = formatConstraint({ type: 'json_schema', json_schema: { name: 'x', schema: { type: 'null' } } })
    expect(sentOptions({}, none, facts, format)).toEqual({ numReturned: 1, jsonSchema: { type: 'null' } })
    expect(formatConstraint({ type: 'json_schema', name: 'x', schema: { type: 'null' } })).toEqual(format)
    expect(formatConstraint({ type: 'json_object' })).toEqual({ jsonSchema: { type: 'object' } })
    expect(formatConstraint({ type: 'text' })).toBeUndefined()
    const both = (): object => sentOptions({ structured_outputs: { regex: 'a' } }, none, facts, format)
    expect(both).toThrow('structured_outputs and response_format both restrict the answer')
  })

  it.each<[GenerationFields, Partial<AnswerSize>, string]>([
    [{ num_beams: 2, top_p: 0.5 }, {}, 'top_p'],
    [{ num_beams: 2 }, { answers: 3 }, 'num_beams'],
    [{ temperature: 0 }, { answers: 2 }, 'temperature'],
    [{}, { maxTokens: 51 }, 'max_tokens'],
    [{ min_tokens: 5 }, { maxTokens: 4 }, 'min_tokens'],
    [{ min_tokens: 51 }, {}, 'min_tokens'],
    [{ stream_options: { include_obfuscation: false } }, {}, 'stream_options'],
    [{ structured_outputs: {} }, {}, 'structured_outputs'],
    [{ structured_outputs: { regex: 'a', choice: ['a'] } }, {}, 'structured_outputs'],
    [{ structured_outputs: { json: 'no' } }, {}, 'structured_outputs.json'],
  ])('is refused if it contradicts itself: %j %j', (fields, size, param) => {
    const error = catchError(() => sent(fields, size))
    expect(error).toBeInstanceOf(ApiError)
    expect((error as ApiError).body.error.param).toBe(param)
  })
})

function catchError(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}
