import type { Vocabulary } from '../text/vocabulary.js'
import type { AnswerPiece, AnswerToken, FinishReason } from './answer-piece.js'
import type { Answer } from './search.js'
import { StopTexts } from './stop-texts.js'
import type { TokenText, TokenTexts } from './token-texts.js'

/** What an answer is read with. */
export interface ReaderContext {
  /** The vocabulary of answers. */
  readonly vocabulary: Vocabulary
  readonly tokenTexts: TokenTexts
  readonly eosIds: readonly number[]
  /** The answer's text ends before the first of these texts. */
  readonly stop: readonly string[]
  /** The tokens before the answer. */
  readonly prefix: readonly number[]
  /** How many of the most probable tokens each token has; undefined: not even its own log-probability. */
  readonly logProbabilities: number | undefined
}

/** A token of an answer, with its details as far as they are known. */
export function answerToken(
  { tokens, experts, logProbabilities, top }: Answer,
  place: number,
  tokenTexts: TokenTexts,
  asked: { readonly isFirst: boolean; readonly logProbabilities: number | undefined },
): AnswerToken {
  const textOf = (id: number): TokenText => tokenTexts.tokenOf(id, asked.isFirst)
  return {
    ...textOf(tokens[place]),
    ...(asked.logProbabilities !== undefined && { logProbability: logProbabilities[place] }),
    ...(top?.[place] && { top: top[place].map(scored => ({ ...scored, ...textOf(scored.id) })) }),
    ...(experts?.[place] && { experts: experts[place] }),
  }
}

/** Reads one answer as it grows: its new tokens, and their text in whole characters, without stop texts. */
export class AnswerReader {
  private readonly stream
  private readonly stops: StopTexts
  private count = 0
  private hasEnded = false

  constructor(private readonly context: ReaderContext) {
    this.stream = context.vocabulary.stream()
    this.stops = new StopTexts(context.stop)
    // The text before an answer decides whether its first token has a space.
    for (const token of context.prefix) this.stream.push(token)
  }

  /** The part of the answer since the last call; null if there is none. `isOver`: no token follows. */
  read(answer: Answer, isOver: boolean): Omit<AnswerPiece, 'index'> | null {
    const { tokens, experts } = answer
    // The experts of a token are known one step later, when it has entered the decoder.
    const known = experts === undefined || isOver ? tokens.length : experts.length
    if (this.hasEnded || (known === this.count && !isOver)) return null
    let text = ''
    const read: AnswerToken[] = []
    for (; this.count < known; this.count++) {
      text += this.stops.push(this.stream.push(tokens[this.count]))
      read.push(this.tokenAt(answer, this.count))
    }
    if (!isOver) return { text, tokens: read, finish: null }
    this.hasEnded = true
    text += this.stops.push(this.stream.end())
    return { text: text + this.stops.end(), tokens: read, finish: this.finishOf(tokens) }
  }

  private tokenAt(answer: Answer, place: number): AnswerToken {
    const { tokenTexts, prefix, logProbabilities } = this.context
    return answerToken(answer, place, tokenTexts, { isFirst: place === 0 && prefix.length === 0, logProbabilities })
  }

  private finishOf(tokens: readonly number[]): FinishReason {
    const endsWithEos = tokens.length > 0 && this.context.eosIds.includes(tokens[tokens.length - 1])
    return this.stops.isFound || endsWithEos ? 'stop' : 'length'
  }
}
