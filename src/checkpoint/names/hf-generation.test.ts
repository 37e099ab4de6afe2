import { describe, expect, it } from 'vitest'
import type { Json } from '../json.js'
import { settingEntries } from '../../model/generation-defaults.js'
import { generationFromHf, generationToHf, hfGeneration, rangeOfHf } from './hf-generation.js'
import { hfText } from './hf-json.js'

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
    expect(settingEntries.map(([, { hf }]) => hf)).toEqual(Object.keys(settings).slice(0, -1))
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
    expect(read({ top_k: null })).toEqual({ topK: 50 })
    expect(read({ max_length: 20, min_length: 5 })).toEqual({ topK: 50, maxNewTokens: 19, minNewTokens: 4 })
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
    expect(read({}, { num_beams: 3 })).toEqual({ topK: 50 })
    expect(generationFromHf({ config: { num_beams: 3 } }, 100, 'model')).toEqual({ topK: 50, numBeams: 3 })
  })

  it.each<[string, Json, object]>([
    ['top_k', -1, {}],
    ['top_p', 1.5, {}],
    ['top_p', 0, { topP: 0 }],
    ['typical_p', 1.5, {}],
    ['epsilon_cutoff', -1, {}],
    ['eta_cutoff', 1, {}],
    ['do_sample', 0, {}],
    ['do_sample', 1, { doSample: true }],
    ['early_stopping', 0, {}],
    ['early_stopping', 1, {}],
    ['num_beams', true, {}],
    ['num_return_sequences', 0, {}],
    ['no_repeat_ngram_size', -1, {}],
    ['encoder_no_repeat_ngram_size', -1, {}],
    ['min_length', -1, {}],
    ['min_new_tokens', -1, {}],
    ['max_length', 5.5, { maxNewTokens: 5 }],
    ['max_new_tokens', 2.5, { maxNewTokens: 3 }],
    ['suppress_tokens', [-1], {}],
    ['suppress_tokens', [-1, 5, 100], { suppressedIds: [5] }],
    ['begin_suppress_tokens', [], {}],
    ['bad_words_ids', [[]], {}],
    ['stop_strings', [], {}],
    ['stop_strings', '.', { stop: ['.'] }],
    ['exponential_decay_length_penalty', [2, 1.5, 3], { lengthDecay: { start: 2, factor: 1.5 } }],
    ['diversity_penalty', 1, {}],
    ['num_beam_groups', 0, {}],
  ])('have the effect that transformers gives to odd values: %s %j', (key, value, expected) => {
    const others = key === 'top_k' ? { unsupported: { top_k: '-1' } } : { topK: 50 }
    expect(read({ [key]: value })).toEqual({ ...others, ...expected })
  })

  it.each<[string, Json, string]>([
    ['temperature', 0, 'a number above 0'],
    ['temperature', 'warm', 'a number above 0'],
    ['top_p', -0.5, 'a number from 0 to 1'],
    ['typical_p', 0, 'a number above 0, at most 1'],
    ['min_p', 1.5, 'a number from 0 to 1'],
    ['top_h', 2, 'a number above 0, at most 1'],
    ['do_sample', 'false', 'true or false'],
    ['num_beams', '4', 'a whole number above 0'],
    ['num_beams', 0, 'a whole number above 0'],
    ['num_beams', [4], 'a whole number above 0'],
    ['early_stopping', 'x', 'true, false or "never"'],
    ['max_length', 1, 'a whole number above 1, as it counts the start of the decoder'],
    ['max_new_tokens', 0, 'a whole number above 0'],
    ['min_length', 2.5, 'a whole number, 0 or more'],
    ['repetition_penalty', 0, 'a number above 0'],
    ['no_repeat_ngram_size', 2.5, 'a whole number, 0 or more'],
    ['length_penalty', 'a', 'a number'],
    ['stop_strings', '', 'a list of texts, none of them empty'],
    ['stop_strings', 5, 'a list of texts, none of them empty'],
    ['suppress_tokens', 82, 'a list of token ids'],
    ['suppress_tokens', ['a'], 'a list of token ids'],
    ['bad_words_ids', [3], "a list of lists of token ids of the model's vocabulary"],
    ['bad_words_ids', [[1], [100]], "a list of lists of token ids of the model's vocabulary"],
    ['sequence_bias', [[[100], 2]], "a list of pairs: a list of token ids of the model's vocabulary, and a number"],
    ['exponential_decay_length_penalty', [5], 'two numbers: a length and a factor'],
    ['exponential_decay_length_penalty', 5, 'two numbers: a length and a factor'],
    ['renormalize_logits', 'no', 'true or false'],
  ])('keep a value that cannot be used, with its range: %s %j', (key, value, range) => {
    expect(read({ [key]: value })).toEqual({ topK: 50, unsupported: { [key]: JSON.stringify(value) } })
    expect(rangeOfHf(key)).toBe(range)
    expect(generationToHf(read({ [key]: value }))).toEqual({ top_k: 50, [key]: value })
  })

  it('are written with floats where transformers wants them, and unsupported settings as they were read', () => {
    const defaults = generationFromHf(
      {
        config: {},
        generationConfig: { temperature: 2, top_k: 7, sequence_bias: [[[4, 5], -2]], guidance_scale: 2, num_beams: 4 },
        generationTexts: { guidance_scale: '2.0' },
      },
      100,
      'model',
    )
    const text = hfText(hfGeneration(defaults))
    expect(text.replace(/\s+/g, ' ')).toBe(
      '{ "num_beams": 4, "temperature": 2.0, "top_k": 7, "sequence_bias": [ [ [ 4, 5 ], -2.0 ] ], "guidance_scale": 2.0 } ',
    )
    expect(JSON.parse(text)).toEqual(generationToHf(defaults))
  })
})
