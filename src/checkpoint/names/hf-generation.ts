import { FileError } from '../../base/errors.js'
import type { GenerationDefaults } from '../../model/generation-defaults.js'
import type { Json } from '../json.js'
import { settingsOf } from './hf-files.js'
import type { HfFiles, Settings } from './hf-files.js'

/**
 * How a model generates by default: the settings of generation_config.json. As in transformers 5, config.json gives
 * them only if there is no generation_config.json. Settings that are null, or have no effect (a penalty of 1), are left
 * out. `path` is the folder's, for messages. Throws a FileError for a setting of a wrong type, and for a token that is
 * not in a vocabulary of `vocabSize`.
 */
export function generationFromHf(files: HfFiles, vocabSize: number, path: string): GenerationDefaults {
  const { generationConfig, config } = files
  const settings =
    generationConfig === undefined
      ? settingsOf('config.json', config, path)
      : settingsOf('generation_config.json', generationConfig, path)
  const read = new SettingReader(settings, vocabSize, path)
  const doSample = read.boolean('do_sample') ?? false
  /** A setting of sampling. Without sampling it has no effect, and a value out of its range is left out. */
  const sampled = (key: string, holds: (value: number) => boolean): number | undefined => {
    const value = read.number(key, doSample ? holds : undefined)
    return value !== undefined && holds(value) ? value : undefined
  }
  const defaults: GenerationDefaults = {
    maxNewTokens:
      read.number('max_new_tokens', isPositive) ?? less1(read.number('max_length', n => isWhole(n) && n > 1)),
    minNewTokens: unless(0, read.number('min_new_tokens', isWhole) ?? less1(read.number('min_length', isWhole))),
    lengthDecay: read.lengthDecay(),
    stop: read.texts('stop_strings'),
    numBeams: unless(1, read.number('num_beams', isPositive)),
    numReturned: unless(1, read.number('num_return_sequences', isPositive)),
    lengthPenalty: unless(1, read.number('length_penalty')),
    earlyStopping: unless(false, read.earlyStopping()),
    doSample: unless(false, doSample),
    temperature: unless(
      1,
      sampled('temperature', x => x > 0),
    ),
    topK: unless(0, sampled('top_k', isWhole) ?? (doSample ? TOP_K : 0)),
    topP: unless(
      1,
      sampled('top_p', x => x > 0 && x <= 1),
    ),
    minP: sampled('min_p', isShare),
    typicalP: unless(
      1,
      sampled('typical_p', x => x > 0 && x <= 1),
    ),
    epsilonCutoff: unless(
      0,
      sampled('epsilon_cutoff', x => x >= 0 && x < 1),
    ),
    etaCutoff: unless(
      0,
      sampled('eta_cutoff', x => x >= 0 && x < 1),
    ),
    topH: sampled('top_h', x => x > 0 && x <= 1),
    repetitionPenalty: unless(
      1,
      read.number('repetition_penalty', x => x > 0),
    ),
    noRepeatNgram: unless(0, read.number('no_repeat_ngram_size', isWhole)),
    inputRepetitionPenalty: unless(
      1,
      read.number('encoder_repetition_penalty', x => x > 0),
    ),
    inputNoRepeatNgram: unless(0, read.number('encoder_no_repeat_ngram_size', isWhole)),
    bannedIds: read.sequences('bad_words_ids'),
    biases: read.biases(),
    suppressedIds: read.ids('suppress_tokens'),
    suppressedFirstIds: read.ids('begin_suppress_tokens'),
    normalizeScores: unless(false, read.boolean('renormalize_logits')),
    unsupported: unsupportedOf(settings),
  }
  return Object.fromEntries(Object.entries(defaults).filter(([, value]) => value !== undefined))
}

/** A model's defaults as the settings of generation_config.json. */
export function generationToHf(defaults: GenerationDefaults): { readonly [key: string]: Json } {
  const { lengthDecay, biases, unsupported, doSample } = defaults
  const settings: { readonly [key: string]: Json | undefined } = {
    max_new_tokens: defaults.maxNewTokens,
    min_new_tokens: defaults.minNewTokens,
    exponential_decay_length_penalty: lengthDecay && [lengthDecay.start, lengthDecay.factor],
    stop_strings: defaults.stop,
    num_beams: defaults.numBeams,
    num_return_sequences: defaults.numReturned,
    length_penalty: defaults.lengthPenalty,
    early_stopping: defaults.earlyStopping,
    do_sample: doSample,
    temperature: defaults.temperature,
    top_k: defaults.topK ?? (doSample ? 0 : undefined),
    top_p: defaults.topP,
    min_p: defaults.minP,
    typical_p: defaults.typicalP,
    epsilon_cutoff: defaults.epsilonCutoff,
    eta_cutoff: defaults.etaCutoff,
    top_h: defaults.topH,
    repetition_penalty: defaults.repetitionPenalty,
    no_repeat_ngram_size: defaults.noRepeatNgram,
    encoder_repetition_penalty: defaults.inputRepetitionPenalty,
    encoder_no_repeat_ngram_size: defaults.inputNoRepeatNgram,
    bad_words_ids: defaults.bannedIds,
    sequence_bias: biases?.map(({ ids, bias }): Json => [ids, bias]),
    suppress_tokens: defaults.suppressedIds,
    begin_suppress_tokens: defaults.suppressedFirstIds,
    renormalize_logits: defaults.normalizeScores,
    ...Object.fromEntries(Object.entries(unsupported ?? {}).map(([key, text]) => [key, JSON.parse(text) as Json])),
  }
  return Object.fromEntries(Object.entries(settings).filter((entry): entry is [string, Json] => entry[1] !== undefined))
}

/** transformers samples from this many tokens where a configuration does not say. */
const TOP_K = 50

/**
 * Settings that would change answers and are not computed here, and whether a value has an effect. The remaining
 * settings of transformers that are not read are of its outputs, its speed and its memory.
 */
const unsupported: { readonly [key: string]: (value: Json, all: Settings['values']) => boolean } = {
  constraints: () => true,
  force_words_ids: () => true,
  num_beam_groups: value => value !== 1,
  diversity_penalty: value => value !== 0,
  guidance_scale: value => value !== 1,
  watermarking_config: () => true,
  dola_layers: () => true,
  penalty_alpha: (value, all) => value !== 0 && all['do_sample'] !== true && Number(all['top_k'] ?? TOP_K) > 1,
  max_time: () => true,
  token_healing: value => value === true,
}

function unsupportedOf({ values }: Settings): GenerationDefaults['unsupported'] {
  const found = Object.entries(unsupported).flatMap(([key, matters]) => {
    const value = values[key]
    return value === undefined || value === null || !matters(value, values)
      ? []
      : [[key, JSON.stringify(value)] as const]
  })
  return found.length > 0 ? Object.fromEntries(found) : undefined
}

const isWhole = (value: number): boolean => Number.isInteger(value) && value >= 0
const isPositive = (value: number): boolean => isWhole(value) && value > 0
const isShare = (value: number): boolean => value >= 0 && value <= 1

/** Undefined for the value without an effect. */
const unless = <T>(neutral: T, value: T | undefined): T | undefined => (value === neutral ? undefined : value)

/** A length of transformers counts the decoder's start. */
const less1 = (length: number | undefined): number | undefined => length && length - 1

/** Reads the settings of one file by their types. */
class SettingReader {
  constructor(
    private readonly settings: Settings,
    private readonly vocabSize: number,
    private readonly path: string,
  ) {}

  /** A setting, converted; undefined if it is absent or null. Throws a FileError if `convert` returns undefined. */
  private read<T>(key: string, must: string, convert: (value: Json) => T | undefined): T | undefined {
    const { file, values } = this.settings
    const value = values[key]
    if (value === undefined || value === null) return undefined
    const converted = convert(value)
    if (converted === undefined)
      throw new FileError(`${this.path}: ${key} in ${file} is ${JSON.stringify(value)}, and must be ${must}`)
    return converted
  }

  number(key: string, holds: (value: number) => boolean = () => true): number | undefined {
    return this.read(key, 'a number within its range', value =>
      typeof value === 'number' && holds(value) ? value : undefined,
    )
  }

  boolean(key: string): boolean | undefined {
    return this.read(key, 'true or false', value => (typeof value === 'boolean' ? value : undefined))
  }

  texts(key: string): readonly string[] | undefined {
    return this.read(key, 'a text or a list of texts', value => {
      const texts = Array.isArray(value) ? (value as readonly Json[]) : [value]
      return texts.every(text => typeof text === 'string') ? texts : undefined
    })
  }

  ids(key: string): readonly number[] | undefined {
    return this.read(key, `a list of token ids below ${this.vocabSize}`, value => this.idsOf(value))
  }

  sequences(key: string): readonly (readonly number[])[] | undefined {
    return this.read(key, `a list of lists of token ids below ${this.vocabSize}`, value => {
      const sequences = Array.isArray(value) ? (value as readonly Json[]).map(ids => this.idsOf(ids)) : [undefined]
      return sequences.every(ids => ids !== undefined) ? sequences : undefined
    })
  }

  earlyStopping(): boolean | 'never' | undefined {
    return this.read('early_stopping', 'true, false or "never"', value =>
      typeof value === 'boolean' || value === 'never' ? value : undefined,
    )
  }

  lengthDecay(): GenerationDefaults['lengthDecay'] {
    return this.read('exponential_decay_length_penalty', 'a list of a length and a factor', value => {
      const [start, factor] = Array.isArray(value) ? (value as readonly Json[]) : []
      return typeof start === 'number' && typeof factor === 'number' ? { start, factor } : undefined
    })
  }

  biases(): GenerationDefaults['biases'] {
    return this.read('sequence_bias', 'a list of pairs: a list of token ids, and their bias', value => {
      const pairs = Array.isArray(value) ? (value as readonly Json[]) : [undefined]
      const biases = pairs.map(pair => {
        const [sequence, bias] = Array.isArray(pair) ? (pair as readonly Json[]) : []
        const ids = this.idsOf(sequence)
        return ids && typeof bias === 'number' ? { ids, bias } : undefined
      })
      if (!biases.every(bias => bias !== undefined)) return undefined
      // Of several biases of one sequence, transformers takes the last one.
      return [...new Map(biases.map(bias => [bias.ids.join(), bias])).values()]
    })
  }

  private idsOf(value: Json | undefined): readonly number[] | undefined {
    const isId = (id: Json): id is number => typeof id === 'number' && isWhole(id) && id < this.vocabSize
    return Array.isArray(value) && (value as readonly Json[]).every(isId) ? (value as readonly number[]) : undefined
  }
}
