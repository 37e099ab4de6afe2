import type { AnswerToken } from '../../infer/answer-piece.js'
import type { TextSide } from '../../infer/text-answers.js'
import type {
  Embedded,
  EmbedRequest,
  GenerateEvent,
  GenerateRequest,
  ModelFacts,
  ModelStatistics,
  ScoredTarget,
  ScoreRequest,
  ServedModel,
} from './served-model.js'

/** The model that answers a call, until `leave` is called. */
export interface Entered {
  readonly model: ServedModel
  leave(): void
}

/** A model that forwards each call to another one, which it chooses when the call begins. */
export abstract class ForwardingModel implements ServedModel {
  abstract get facts(): ModelFacts
  abstract statistics(): Promise<ModelStatistics>
  abstract close(): Promise<void>

  /** Chooses the model of a call. `work` is how much there is to compute: rows, answers or texts. */
  protected abstract enter(work: number): Entered

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateEvent, void, undefined> {
    const { numBeams = 1, numReturned = 1 } = request.options
    const { model, leave } = this.enter(Math.max(numBeams, numReturned))
    try {
      yield* model.generate(request, signal)
    } finally {
      leave()
    }
  }

  score(request: ScoreRequest, signal: AbortSignal): Promise<readonly ScoredTarget[]> {
    return this.call(request.targets.length, model => model.score(request, signal))
  }

  embed(request: EmbedRequest, signal: AbortSignal): Promise<Embedded> {
    return this.call(request.texts.length, model => model.embed(request, signal))
  }

  tokenize(text: string, as: TextSide): Promise<readonly AnswerToken[]> {
    return this.call(0, model => model.tokenize(text, as))
  }

  detokenize(tokens: readonly number[], as: TextSide): Promise<string> {
    return this.call(0, model => model.detokenize(tokens, as))
  }

  protected async call<T>(work: number, task: (model: ServedModel) => Promise<T>): Promise<T> {
    const { model, leave } = this.enter(work)
    try {
      return await task(model)
    } finally {
      leave()
    }
  }
}
