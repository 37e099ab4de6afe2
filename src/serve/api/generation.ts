import type { AnswerPiece, AnswerToken, FinishReason } from '../../infer/answer-piece.js'
import type { GenerateRequest, ServedModel } from '../models/served-model.js'
import { CLIENT_GONE, toApiError } from '../http/api-error.js'
import type { Call } from './endpoint.js'
import { merged } from './merged.js'

/** How many tokens a request has read and written, as OpenAI counts them. */
export interface Usage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly total_tokens: number
}

/** A part of one of the answers of a call: `prompt` is the number of its input. */
export interface CallPiece extends AnswerPiece {
  readonly prompt: number
}

/** The generation that one HTTP request asks for: of each of its inputs, one answer or several. */
export class Generation {
  private readonly promptTokens: (readonly AnswerToken[])[]
  private completionTokens = 0

  constructor(
    private readonly call: Call,
    private readonly model: ServedModel,
    private readonly requests: readonly GenerateRequest[],
  ) {
    this.promptTokens = requests.map(() => [])
  }

  get usage(): Usage {
    const read = this.promptTokens.reduce((sum, tokens) => sum + tokens.length, 0)
    const prompt_tokens = this.requests.reduce((sum, { options }) => sum + (options.prefix?.length ?? 0), read)
    const completion_tokens = this.completionTokens
    return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
  }

  /** The tokens of an input as they entered the encoder. Known before the first of its pieces. */
  inputTokens(prompt: number): readonly AnswerToken[] {
    return this.promptTokens[prompt]
  }

  /** Reads the tokens of the inputs, and gives their answers up at the first token. */
  async readInputs(): Promise<void> {
    const left = new AbortController()
    const signal = AbortSignal.any([this.call.signal, left.signal])
    try {
      await Promise.all(
        this.requests.map(async ({ input, options: { experts } }, prompt) => {
          for await (const event of this.model.generate({ input, options: { maxNewTokens: 1, experts } }, signal)) {
            if (event.kind === 'input') this.promptTokens[prompt] = event.tokens
            break
          }
        }),
      )
    } finally {
      left.abort()
    }
  }

  /** The pieces of all answers as they are generated. All end when the loop is left, or when one fails. */
  async *pieces(): AsyncGenerator<CallPiece, void, undefined> {
    const { call, model, requests } = this
    const left = new AbortController()
    const signal = AbortSignal.any([call.signal, left.signal])
    const answers = requests.reduce((sum, { options }) => sum + (options.numReturned ?? 1), 0)
    const watch = call.server.metrics.watch(model.facts.name, answers)
    // A loop that is left before the end: nobody reads the answers.
    let status = CLIENT_GONE
    try {
      const sources = requests.map(request => model.generate(request, signal))
      for await (const { source: prompt, item } of merged(sources)) {
        if (item.kind === 'input') {
          this.promptTokens[prompt] = item.tokens
          watch.input(item.tokens.length)
        } else {
          this.completionTokens += item.tokens.length
          watch.piece(`${prompt}.${item.index}`, item)
          yield { ...item, prompt }
        }
      }
      status = 200
    } catch (error) {
      status = toApiError(error).error.status
      throw error
    } finally {
      watch.ended(status)
      left.abort()
      call.note({ prompt_tokens: this.usage.prompt_tokens, completion_tokens: this.usage.completion_tokens })
    }
  }

  /** The whole answers, by input, then by their number. */
  async answers(): Promise<readonly (readonly WholeAnswer[])[]> {
    const answers: WholeAnswer[][] = this.requests.map(() => [])
    for await (const { prompt, index, text, tokens, finish } of this.pieces()) {
      const answer = (answers[prompt][index] ??= { text: '', tokens: [], finish: null })
      answer.text += text
      answer.tokens.push(...tokens)
      answer.finish = finish
    }
    return answers
  }
}

export interface WholeAnswer {
  text: string
  readonly tokens: AnswerToken[]
  finish: FinishReason | null
}
