import { z } from 'zod'
import type { AnswerToken } from '../../infer/answer-piece.js'
import { badRequest } from '../http/api-error.js'
import { EventStream } from '../http/event-stream.js'
import type { ServerEvent } from '../http/event-stream.js'
import { newId, secondsNow } from '../http/request-ids.js'
import type { ServedModel } from '../models/served-model.js'
import { ChoiceParts, completion, completionPart } from './completion-answer.js'
import type { Choice, Shown } from './completion-answer.js'
import { answering, defineEndpoint } from './endpoint.js'
import type { Call } from './endpoint.js'
import { modelField, optional, text, unsupported } from './fields.js'
import { Generation } from './generation.js'
import type { WholeAnswer } from './generation.js'
import { generationFields, MOST_ANSWERS, MOST_LOGPROBS, sentOptions } from './generation-fields.js'
import { checkLength, inputsOf, preparePrompt, promptField } from './prompts.js'
import type { PreparedPrompt } from './prompts.js'
import { DONE, errorEvent } from './stream-events.js'
import { toTokenExperts } from './token-experts.js'
import type { tokenExperts } from './token-experts.js'

export const completionBody = z.strictObject({
  model: modelField,
  prompt: promptField.describe(
    "What the model answers: the encoder's input. Several prompts are answered at once. EOS is put behind a text; token ids enter the encoder as they are.",
  ),
  max_tokens: optional(z.int().min(0)).describe(
    "The most tokens of an answer. 0 only with echo. Default: as many as the model's own defaults say, up to the server's limit (OpenAI: 16).",
  ),
  best_of: optional(z.int().min(1).max(MOST_ANSWERS)).describe(
    'Generates so many answers, and returns the n whose tokens have the highest log-probability on average.',
  ),
  logprobs: optional(z.int().min(0).max(MOST_LOGPROBS)).describe(
    'Returns the log-probability of each token, and of so many of the most probable ones.',
  ),
  echo: optional(z.boolean()).describe(
    'Returns the prompt before the answer. Its tokens have no log-probabilities, except those that follow the answer separator.',
  ),
  answer_separator: optional(text.min(1)).describe(
    "If the prompt has this text, what follows its last occurrence is the beginning of the answer. Default: the server's setting.",
  ),
  ...generationFields,
  suffix: unsupported('text is not inserted; T5 fills blanks: put <extra_id_0> where text is missing', ['']),
})

type Body = z.output<typeof completionBody>

export const completions = defineEndpoint({
  method: 'POST',
  path: '/v1/completions',
  access: 'client',
  tag: 'OpenAI',
  summary: 'Answers prompts',
  body: completionBody,
  answers: {
    200: [
      { description: 'The answers.', schema: completion },
      {
        description: 'With stream: parts of the answers, then [DONE].',
        schema: completionPart,
        contentType: 'text/event-stream',
      },
    ],
  },
  async handle(call) {
    const { body } = call
    const model = answering(call, body.model)
    const [n, bestOf] = [body.n ?? 1, body.best_of ?? body.n ?? 1]
    check(body, n, bestOf)
    const inputs = inputsOf(body.prompt)
    call.admit(inputs.length * Math.max(bestOf, body.num_beams ?? 1))
    // A prompt with a separator also has the beginning of the answer.
    const separator = body.answer_separator ?? call.server.settings.answerSeparator
    const { facts } = model
    const most = facts.maxInputTokens + (separator ? facts.maxNewTokens : 0)
    inputs.forEach(each => checkLength('prompt', each, facts, most))
    const prompts = await Promise.all(inputs.map(input => preparePrompt(model, input, separator, body.echo === true)))
    const asked = new Completion(call, model, prompts, n, bestOf)
    if (!body.stream) return asked.whole()
    return EventStream.begin(asked.parts(), error => [errorEvent(error)])
  },
})

function check({ stream, echo, max_tokens }: Body, n: number, bestOf: number): void {
  if (bestOf < n) throw badRequest(`best_of is ${bestOf}, fewer than the n (${n}) that are to be returned`, 'best_of')
  if (stream && bestOf > n)
    throw badRequest('best_of above n cannot be streamed: the best are known when all have ended', 'best_of')
  if (max_tokens === 0 && !echo)
    throw badRequest('max_tokens is 0: there is nothing to answer without echo', 'max_tokens')
}

/** One request for completions. */
class Completion {
  private readonly head: { id: string; object: 'text_completion'; created: number; model: string }
  private readonly generation: Generation
  private readonly shown: Shown

  constructor(
    private readonly call: Call<Body>,
    private readonly model: ServedModel,
    private readonly prompts: readonly PreparedPrompt[],
    private readonly n: number,
    bestOf: number,
  ) {
    const { body } = call
    const logProbabilities = body.logprobs ?? (bestOf > n ? 0 : null)
    const size = { maxTokens: body.max_tokens, maxTokensField: 'max_tokens', answers: bestOf, logProbabilities }
    const options = sentOptions(body, size, model.facts)
    this.generation = new Generation(
      call,
      model,
      prompts.map(({ input, beginning }) => ({
        input,
        options: beginning.length > 0 ? { ...options, prefix: beginning } : options,
      })),
    )
    this.shown = { logprobs: body.logprobs != null, experts: body.return_experts === true }
    this.head = { id: newId('cmpl'), object: 'text_completion', created: secondsNow(), model: model.facts.name }
  }

  async whole(): Promise<z.output<typeof completion>> {
    const { body } = this.call
    const beginnings = await this.scoredBeginnings()
    if (body.max_tokens === 0) await this.generation.readInputs()
    const answers = body.max_tokens === 0 ? this.prompts.map(() => NOTHING) : await this.generation.answers()
    const choices = answers.flatMap((ofPrompt, prompt) =>
      best(ofPrompt, this.n).map(({ text, tokens, finish }, i) => {
        const parts = new ChoiceParts(prompt * this.n + i, this.shown)
        const echo = body.echo ? this.echoOf(prompt, beginnings[prompt]) : { text: '', tokens: [] }
        return parts.part(echo.text + text, [...echo.tokens, ...tokens], finish)
      }),
    )
    return { ...this.head, choices, usage: this.generation.usage, ...this.inputExperts() }
  }

  async *parts(): AsyncGenerator<ServerEvent, void, undefined> {
    const { body } = this.call
    const withUsage = body.stream_options?.include_usage === true
    const event = (choice: Choice): ServerEvent => ({
      data: { ...this.head, choices: [choice], ...(withUsage && { usage: null }) },
    })
    const beginnings = await this.scoredBeginnings()
    const choices = new Map<number, ChoiceParts>()
    if (body.max_tokens === 0) {
      await this.generation.readInputs()
      for (const prompt of this.prompts.keys())
        for (let i = 0; i < this.n; i++) {
          const { text, tokens } = this.echoOf(prompt, beginnings[prompt])
          yield event(new ChoiceParts(prompt * this.n + i, this.shown).part(text, tokens, 'length'))
        }
    } else
      for await (const { prompt, index, text, tokens, finish } of this.generation.pieces()) {
        const number = prompt * this.n + index
        let parts = choices.get(number)
        if (parts === undefined) {
          choices.set(number, (parts = new ChoiceParts(number, this.shown)))
          if (body.echo) {
            const echo = this.echoOf(prompt, beginnings[prompt])
            yield event(parts.part(echo.text, echo.tokens, null))
          }
        }
        if (text !== '' || finish !== null || this.shown.logprobs || this.shown.experts)
          yield event(parts.part(text, tokens, finish))
      }
    const end = { ...(withUsage && { usage: this.generation.usage }), ...this.inputExperts() }
    if (Object.keys(end).length > 0) yield { data: { ...this.head, choices: [], ...end } }
    yield DONE
  }

  /** For each prompt, the tokens of the given beginning of its answer, with probabilities if they are asked for. */
  private async scoredBeginnings(): Promise<readonly (readonly AnswerToken[])[]> {
    const { body, signal } = this.call
    if (!body.echo) return this.prompts.map(() => [])
    return Promise.all(
      this.prompts.map(async ({ input, beginning }) => {
        if (beginning.length === 0) return []
        const [{ tokens }] = await this.model.score({ input, targets: [beginning], top: body.logprobs ?? 0 }, signal)
        return tokens
      }),
    )
  }

  /** `input_experts`, if they are asked for. */
  private inputExperts(): { input_experts?: z.output<typeof tokenExperts>[] } {
    if (!this.shown.experts) return {}
    return { input_experts: this.prompts.map((_, prompt) => toTokenExperts(this.generation.inputTokens(prompt))) }
  }

  /** What goes before an answer with `echo`: the prompt. */
  private echoOf(
    prompt: number,
    beginning: readonly AnswerToken[],
  ): { readonly text: string; readonly tokens: readonly AnswerToken[] } {
    const { text, added } = this.prompts[prompt]
    const read = this.generation.inputTokens(prompt)
    const tokens = [...read.slice(0, read.length - added), ...beginning]
    return { text: text ?? tokens.map(token => token.text).join(''), tokens }
  }
}

/** The answers of `max_tokens: 0`. */
const NOTHING: readonly WholeAnswer[] = [{ text: '', tokens: [], finish: 'length' }]

/** The `n` answers whose tokens are the most probable on average, best first; if there are n, all in their order. */
function best(answers: readonly WholeAnswer[], n: number): readonly WholeAnswer[] {
  if (answers.length <= n) return answers
  const mean = ({ tokens }: WholeAnswer): number =>
    tokens.reduce((sum, { logProbability = 0 }) => sum + logProbability, 0) / Math.max(tokens.length, 1)
  return [...answers].sort((a, b) => mean(b) - mean(a)).slice(0, n)
}
