import { z } from 'zod'
import type { AnswerToken } from '../../infer/answer-piece.js'
import { formatCount } from '../../base/format.js'
import { badRequest } from '../http/api-error.js'
import type { Input, ModelFacts, ServedModel } from '../models/served-model.js'
import { ids, MOST_INPUTS, text } from './fields.js'

/** OpenAI's `prompt`: one text, or token ids, or several of them. */
export const promptField = z.union(
  [text, ids, z.array(text).min(1).max(MOST_INPUTS), z.array(ids).min(1).max(MOST_INPUTS)],
  { error: `must be a text, an array of token ids, or an array of 1 to ${MOST_INPUTS} texts or arrays of token ids` },
)

/** The inputs of a field that holds one or several. */
export function inputsOf(prompt: z.output<typeof promptField>): readonly Input[] {
  if (typeof prompt === 'string' || typeof prompt[0] === 'number') return [prompt as Input]
  return prompt as readonly Input[]
}

/**
 * Throws a 400 if an input has more than `most` tokens, as far as its length tells: a text with more characters than so
 * many of the longest tokens. Cutting a text of megabytes into tokens would keep other answers waiting for a second.
 */
export function checkLength(
  field: string,
  given: Input,
  { name, maxInputTokens, longestToken }: ModelFacts,
  most = maxInputTokens,
): void {
  const [limit, unit] = typeof given === 'string' ? [most * longestToken, 'characters'] : [most, 'tokens']
  if (given.length > limit)
    throw badRequest(
      `${field} has ${formatCount(given.length)} ${unit}, and the model ${name} takes at most ${formatCount(most)} tokens there${unit === 'tokens' ? '' : `, so no more than ${formatCount(limit)} characters`}: shorten it`,
      field,
    )
}

/** A prompt as the model gets it. */
export interface PreparedPrompt {
  /** The whole prompt, if it was given as a text. */
  readonly text?: string
  /** What enters the encoder. */
  readonly input: Input
  /** Token ids that the answer begins with. Empty: the model begins it. */
  readonly beginning: readonly number[]
  /** How many of the last tokens of the input are not the client's: EOS. They are not echoed. */
  readonly added: number
}

/**
 * Cuts a prompt behind the last place where it has the separator: what is before, the separator included, enters the
 * encoder, and the rest is the beginning of the answer. So programs that measure the probability of a continuation
 * (lm-evaluation-harness) can be answered by an encoder-decoder. Without the separator, all of it is the input.
 * A prompt that is not echoed and has no separator does not wait for the model, which may compute a step: `added` is 0.
 */
export async function preparePrompt(
  model: ServedModel,
  prompt: Input,
  separator: string | null | undefined,
  isEchoed = true,
): Promise<PreparedPrompt> {
  const eos = isEchoed || separator ? (await model.tokenize('', 'input')).at(-1)?.id : undefined
  const cut = separator ? await cutPrompt(model, prompt, separator, eos) : undefined
  const { input, beginning } = cut ?? { input: prompt, beginning: [] }
  const hasAdded = eos !== undefined && (typeof prompt === 'string' || cut !== undefined)
  const given = typeof prompt === 'string' ? { text: prompt } : {}
  return { ...given, input, beginning, added: hasAdded ? 1 : 0 }
}

async function cutPrompt(
  model: ServedModel,
  prompt: Input,
  separator: string,
  eos: number | undefined,
): Promise<Pick<PreparedPrompt, 'input' | 'beginning'> | undefined> {
  if (typeof prompt === 'string') {
    const end = endOfLast(prompt, separator)
    if (end === undefined) return undefined
    return { input: prompt.slice(0, end), beginning: await answerIds(model, prompt.slice(end)) }
  }
  const end = endOfLast(await model.detokenize(prompt, 'input'), separator)
  if (end === undefined) return undefined
  const count = await countTokens(model, prompt, end)
  if ((await model.detokenize(prompt.slice(0, count), 'input')).length > end)
    throw badRequest(
      `a token of the prompt has both the end of the answer separator "${separator}" and the beginning of the answer: send the prompt as a text`,
      'prompt',
    )
  const context = prompt.slice(0, count)
  return { input: eos === undefined ? context : [...context, eos], beginning: prompt.slice(count) }
}

function endOfLast(prompt: string, separator: string): number | undefined {
  const at = prompt.lastIndexOf(separator)
  return at < 0 ? undefined : at + separator.length
}

/** The fewest first tokens whose text has at least `length` units, by bisection. */
async function countTokens(model: ServedModel, ids: readonly number[], length: number): Promise<number> {
  let [low, high] = [0, ids.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const { length: reached } = await model.detokenize(ids.slice(0, middle), 'input')
    if (reached >= length) high = middle
    else low = middle + 1
  }
  return low
}

/** The tokens of a text at the beginning of an answer: without the EOS of a whole answer. */
async function answerIds(model: ServedModel, beginning: string): Promise<readonly number[]> {
  if (beginning.trim() === '') return []
  const [tokens, ofNothing] = await Promise.all([model.tokenize(beginning, 'answer'), model.tokenize('', 'answer')])
  const ids = tokens.map(({ id }: AnswerToken) => id)
  return ids.at(-1) === ofNothing.at(-1)?.id ? ids.slice(0, -1) : ids
}
