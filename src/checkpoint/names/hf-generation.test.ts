import { describe, expect, it } from 'vitest'
import type { Json } from '../json.js'
import { generationFromHf, generationToHf } from './hf-generation.js'

const read = (generationConfig: Record<string, Json>, config: Record<string, Json> = {}) =>
  generationFromHf({ config, generationConfig }, 100, 'model')

describe('generation defaults of Hugging Face files', () => {
  it('come back as they were written', () => {
    const settings = {
      max_new_tokens: 9,
      min_new_tokens: 2,
      exponential_decay_length_penalty: [4, 1.2],
      stop_strings: ['.'],
      num_beams: 4,
      num_return_sequences: 2,
      length_penalty: 0.6,
      early_stopping: 'never',
      do_sample: true,
      temperature: 0.7,
      top_k: 7,
      top_p: 0.9,
      min_p: 0.1,
      typical_p: 0.9,
      epsilon_cutoff: 0.01,
      eta_cutoff: 0.02,
      top_h: 0.4,
      repetition_penalty: 1.5,
      no_repeat_ngram_size: 3,
      encoder_repetition_penalty: 1.1,
      encoder_no_repeat_ngram_size: 2,
      bad_words_ids: [[1], [2, 3]],
      sequence_bias: [[[4, 5], -2]],
      suppress_tokens: [6],
      begin_suppress_tokens: [7, 8],
      renormalize_logits: true,
      guidance_scale: 1.5,
    }
    const defaults = read(settings)
    expect(Object.keys(defaults)).toHaveLength(Object.keys(settings).length)
    expect(defaults).toMatchObject({ unsupported: { guidance_scale: '1.5' }, topK: 7 })
    expect(generationToHf(defaults)).toEqual(settings)
  })

  it('are what transformers does where a setting is absent, null or without effect', () => {
    const neutral = {
      top_k: 50,
      num_beams: 1,
      do_sample: false,
      repetition_penalty: 1,
      length_penalty: 1,
      temperature: 1,
      typical_p: 1,
      num_beam_groups: 1,
      diversity_penalty: 0,
      bad_words_ids: null,
      min_length: 0,
    }
    expect(read(neutral)).toEqual({ topK: 50 })
    expect(read({ do_sample: true })).toEqual({ doSample: true, topK: 50 })
    expect(read({ do_sample: true, top_k: 0 })).toEqual({ doSample: true })
    expect(generationToHf(read({ do_sample: true, top_k: 0 }))).toEqual({ do_sample: true, top_k: 0 })
    expect(read({ max_length: 20, min_length: 5 })).toEqual({ maxNewTokens: 19, minNewTokens: 4 })
  })

  it('have one bias for a sequence: the last one', () => {
    const biases = read({
      sequence_bias: [
        [[4, 5], -2],
        [[4], 1],
        [[4, 5], 3],
      ],
    }).biases
    expect(biases).toEqual([
      { ids: [4, 5], bias: 3 },
      { ids: [4], bias: 1 },
    ])
  })

  it('are read from config.json only if there is no generation_config.json', () => {
    expect(read({}, { num_beams: 3 })).toEqual({})
    expect(generationFromHf({ config: { num_beams: 3 } }, 100, 'model')).toEqual({ numBeams: 3 })
  })

  it('are not refused for settings of sampling that have no effect', () => {
    expect(read({ temperature: 0, top_p: 0, top_k: -1, do_sample: false })).toEqual({})
    expect(() => read({ temperature: 0, do_sample: true })).toThrow('temperature in generation_config.json is 0')
  })

  it('name the file and the setting that is wrong', () => {
    expect(() => read({ num_beams: '4' })).toThrow('model: num_beams in generation_config.json is "4"')
    expect(() => read({ suppress_tokens: [100] })).toThrow('a list of token ids below 100')
    expect(() => read({ bad_words_ids: [3] })).toThrow('bad_words_ids')
    expect(() => generationFromHf({ config: { max_length: 1 } }, 100, 'model')).toThrow(
      'max_length in config.json is 1',
    )
  })
})
