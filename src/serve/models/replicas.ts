import type { AnswerToken } from '../../infer/answer-piece.js'
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
import { sumOf } from './statistics.js'

/** A copy of a model, and whether it can take requests at once. */
export interface Replica extends ServedModel {
  readonly isAvailable: boolean
}

/** Copies of a model that share its requests: each goes to the copy that has the least work. */
export class Replicas implements ServedModel {
  private readonly copies: readonly { readonly model: Replica; work: number }[]

  constructor(replicas: readonly [Replica, ...Replica[]]) {
    this.copies = replicas.map(model => ({ model, work: 0 }))
  }

  get facts(): ModelFacts {
    return this.copies[0].model.facts
  }

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateEvent, void, undefined> {
    const { numBeams = 1, numReturned = 1 } = request.options
    const work = Math.max(numBeams, numReturned)
    const copy = this.take(work)
    try {
      yield* copy.model.generate(request, signal)
    } finally {
      copy.work -= work
    }
  }

  score(request: ScoreRequest, signal: AbortSignal): Promise<readonly ScoredTarget[]> {
    return this.run(request.targets.length, model => model.score(request, signal))
  }

  embed(request: EmbedRequest, signal: AbortSignal): Promise<Embedded> {
    return this.run(request.texts.length, model => model.embed(request, signal))
  }

  tokenize(text: string, as: 'input' | 'answer'): Promise<readonly AnswerToken[]> {
    return this.run(0, model => model.tokenize(text, as))
  }

  detokenize(tokens: readonly number[], as: 'input' | 'answer'): Promise<string> {
    return this.run(0, model => model.detokenize(tokens, as))
  }

  async statistics(): Promise<ModelStatistics> {
    return sumOf(await Promise.all(this.copies.map(({ model }) => model.statistics())))
  }

  async close(): Promise<void> {
    await Promise.all(this.copies.map(({ model }) => model.close()))
  }

  private async run<T>(work: number, task: (model: ServedModel) => Promise<T>): Promise<T> {
    const copy = this.take(work)
    try {
      return await task(copy.model)
    } finally {
      copy.work -= work
    }
  }

  /** The copy with the least work, of those that are available if there are any. */
  private take(work: number): Replicas['copies'][number] {
    const available = this.copies.filter(({ model }) => model.isAvailable)
    const copy = (available.length > 0 ? available : this.copies).reduce((a, b) => (b.work < a.work ? b : a))
    copy.work += work
    return copy
  }
}
