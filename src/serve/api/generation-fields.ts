import { randomInt } from 'node:crypto'
import { z } from 'zod'
import { badRequest } from '../http/api-error.js'
import type { ModelFacts, SentOptions } from '../models/served-model.js'
import { constraintFields, constraintOf } from './constraints.js'
import type { Constraint } from './constraints.js'
import { ignored, optional, text, unsupported, unsupportedUnlessEmpty } from './fields.js'

/** The most answers to one input, as in OpenAI's API. */
export const MOST_ANSWERS = 128
/** The most tokens that are told at each place, as in OpenAI's API of chat. */
export const MOST_LOGPROBS = 20

/** The most characters of a stop text or a banned text: 256 banned ones of 24,000 kept all answers waiting for 5 s. */
const MOST_CHARACTERS = 1000

const stopText = text
  .min(1, { error: 'a stop text is empty, and every answer contains it: leave it out' })
  .max(MOST_CHARACTERS, { error: `has more than ${MOST_CHARACTERS} characters: shorten it` })

/** Which tokens are chosen: the fields that completions, chat and responses share. */
export const samplingFields = {
  temperature: optional(z.number().min(0)).describe(
    'Divides the scores. 0: the most probable token is chosen each time. When no field of sampling (temperature, top_p, top_k, min_p, seed) is given, the model generates as its own defaults say (generation_config.json), which is greedily if it has none: OpenAI samples with temperature 1 then.',
  ),
  top_p: optional(z.number().gt(0).max(1)).describe(
    'Samples from the most probable tokens whose probabilities add up to this share.',
  ),
}

/** What completions and chat have besides: OpenAI's fields, then those that are Hugging Face's and vLLM's. */
export const generationFields = {
  ...samplingFields,
  n: optional(z.int().min(1).max(MOST_ANSWERS)).describe(
    'How many answers. Above 1, they are sampled, unless num_beams is given: then they are the best n of beam search.',
  ),
  stop: optional(
    z.union([stopText, z.array(stopText).max(16)], {
      error: 'must be a text that is not empty, or an array of at most 16 such texts',
    }),
  ).describe('The answer ends before the first of these texts, which is not shown.'),
  seed: optional(z.int()).describe(
    'The same seed, input and options give the same answer. Turns sampling on. Default: another one for each request.',
  ),
  stream: optional(z.boolean()).describe('Sends the answer in parts, as server-sent events.'),
  stream_options: optional(
    z.strictObject({
      include_usage: optional(z.boolean()).describe('The last part has the number of tokens.'),
      include_obfuscation: unsupported('parts are sent as they are', [false]),
    }),
  ).describe('Only together with stream.'),
  top_k: optional(z.int().min(-1)).describe('Samples from the k most probable tokens; -1 or 0: from all.'),
  min_p: optional(z.number().min(0).max(1)).describe(
    'Samples from tokens at least this share as probable as the most probable one.',
  ),
  repetition_penalty: optional(z.number().gt(0)).describe('Above 1: tokens that occurred become less probable.'),
  no_repeat_ngram_size: optional(z.int().min(0)).describe('No sequence of this many tokens occurs twice; 0: any may.'),
  num_beams: optional(z.int().min(1).max(64)).describe(
    'Beam search with this many beams. It cannot be combined with sampling. A stream has the whole answer at the end.',
  ),
  length_penalty: optional(z.number()).describe('Of beam search: above 0, long answers are favoured.'),
  early_stopping: optional(z.union([z.boolean(), z.literal('never')])).describe('Of beam search: when it stops.'),
  min_tokens: optional(z.int().min(0)).describe('The fewest tokens of an answer.'),
  bad_words: optional(z.array(stopText).max(256)).describe('Texts that the answer never contains.'),
  return_experts: optional(z.boolean()).describe(
    'Also returns which experts each token of the answer met, for each sparse layer of the decoder.',
  ),
  ...constraintFields,
  frequency_penalty: unsupported('use repetition_penalty', [0]),
  presence_penalty: unsupported('use repetition_penalty', [0]),
  logit_bias: unsupportedUnlessEmpty('use bad_words to forbid texts', 'object'),
  user: ignored(z.string(), 'nothing is kept about users'),
  ignore_eos: unsupported('an answer ends at EOS; min_tokens makes it longer', [false]),
  stop_token_ids: unsupportedUnlessEmpty('use stop', 'array'),
  skip_special_tokens: unsupported('special tokens are never a part of the text', [true]),
  spaces_between_special_tokens: unsupported('special tokens are never a part of the text', [true, false]),
  include_stop_str_in_output: unsupported('a stop text is never shown', [false]),
  prompt_logprobs: unsupported("the encoder's input has no probabilities; use /score, or echo and logprobs", [0]),
  truncate_prompt_tokens: unsupported('inputs are not cut: shorten the prompt'),
  use_beam_search: unsupported('use num_beams', [false]),
}

const fields = z.object(generationFields)

/** What a request says about generation. */
export type GenerationFields = Partial<z.output<typeof fields>>

/** What endpoints call by other names: how many tokens, how many answers are generated, and what is told of tokens. */
export interface AnswerSize {
  /** The most tokens, and the name of the field that says so. */
  readonly maxTokens: number | null | undefined
  readonly maxTokensField: string
  /** How many answers are generated for each input. */
  readonly answers: number
  /** How many of the most probable tokens are told at each place; null: not even the token's own probability. */
  readonly logProbabilities: number | null
}

/**
 * The options of generation that a request asks for. Only what it says is said to the model, so that the model's own
 * defaults hold for the rest. Throws a 400 that names a field if fields contradict each other, or the model's limit.
 */
export function sentOptions(
  asked: GenerationFields,
  size: AnswerSize,
  facts: ModelFacts,
  format?: Constraint,
): SentOptions {
  const { maxTokens, maxTokensField, answers, logProbabilities } = size
  if (maxTokens != null && maxTokens > facts.maxNewTokens)
    throw badRequest(
      `${maxTokensField} is ${maxTokens}, and an answer of the model ${facts.name} has at most ${facts.maxNewTokens} tokens on this server`,
      maxTokensField,
    )
  if (asked.min_tokens != null && asked.min_tokens > (maxTokens ?? facts.maxNewTokens))
    throw badRequest(
      `min_tokens is ${asked.min_tokens}, more than the most tokens of an answer, ${maxTokens ?? facts.maxNewTokens}`,
      'min_tokens',
    )
  if (asked.stream_options && !asked.stream)
    throw badRequest('stream_options is for streams: set stream to true, or leave it out', 'stream_options')
  const { stop } = asked
  const restricted = constraintOf(asked)
  if (restricted && format)
    throw badRequest(
      'structured_outputs and response_format both restrict the answer: leave one out',
      'structured_outputs',
    )
  return {
    ...given({
      maxNewTokens: maxTokens,
      minNewTokens: asked.min_tokens,
      numReturned: answers,
      logProbabilities,
      experts: asked.return_experts || undefined,
      stop: typeof stop === 'string' ? [stop] : stop?.length ? stop : undefined,
      banned: asked.bad_words?.length ? asked.bad_words : undefined,
      repetitionPenalty: asked.repetition_penalty,
      noRepeatNgram: asked.no_repeat_ngram_size || undefined,
    }),
    ...searchOptions(asked, answers),
    ...(restricted ?? format),
  }
}

/** Beam search, greedy search or sampling, as far as the request chooses. */
function searchOptions(asked: GenerationFields, answers: number): SentOptions {
  const { temperature, seed, num_beams: numBeams } = asked
  const beams = given({ numBeams, lengthPenalty: asked.length_penalty, earlyStopping: asked.early_stopping })
  if (numBeams != null && numBeams > 1) {
    checkBeams(asked, answers, numBeams)
    return beams
  }
  if (temperature === 0) {
    if (answers > 1)
      throw badRequest(
        'with temperature 0 all answers to an input are the same: ask for one, or set num_beams or a temperature',
        'temperature',
      )
    return { doSample: false }
  }
  const topK = asked.top_k != null && asked.top_k > 0 ? asked.top_k : undefined
  const sampling = given({ temperature, topP: asked.top_p, minP: asked.min_p, topK })
  if (Object.keys(sampling).length === 0 && answers === 1 && seed == null) return beams
  // Without a seed, a request gets one of its own: the same request again gives another answer.
  return { ...sampling, doSample: true, seed: (seed ?? randomInt(2 ** 32)) >>> 0 }
}

/** The values with which fields of sampling leave a search as it is. */
const NEUTRAL = { temperature: [0, 1], top_p: [1], top_k: [-1, 0], min_p: [0] } as const

function checkBeams(asked: GenerationFields, answers: number, numBeams: number): void {
  for (const [name, neutral] of Object.entries(NEUTRAL)) {
    const value = asked[name as keyof typeof NEUTRAL]
    if (value != null && !(neutral as readonly number[]).includes(value))
      throw badRequest(
        `${name} is for sampling, which cannot be combined with beam search: leave one of them out`,
        name,
      )
  }
  if (answers > numBeams)
    throw badRequest(`beam search with num_beams ${numBeams} has no ${answers} answers: set more beams`, 'num_beams')
}

/** The fields that have a value. */
function given<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined && value !== null)
  return Object.fromEntries(entries) as { [K in keyof T]?: NonNullable<T[K]> }
}
