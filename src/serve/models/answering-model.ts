import { ConfigError } from '../../base/errors.js'
import type { AnswerToken } from '../../infer/answer-piece.js'
import { TextGenerator } from '../../infer/text-generator.js'
import type { TextSide } from '../../infer/text-generator.js'
import { stackLayers } from '../../model/config.js'
import type { ModelConfig, StackName } from '../../model/config.js'
import { countParameters, declareParameters } from '../../model/parameters.js'
import { longestToken } from './longest-token.js'
import type { OpenedTextModel } from '../../open/text-model.js'
import type { ModelLimits } from './messages.js'
import { OpenCalls } from './open-calls.js'
import type {
  Embedded,
  GenerateEvent,
  GenerateRequest,
  ModelFacts,
  ModelStatistics,
  ScoredTarget,
  ScoreRequest,
  ServedModel,
} from './served-model.js'

/** A model of this process that answers texts. */
export class AnsweringModel implements ServedModel {
  readonly facts: ModelFacts
  private readonly generator: TextGenerator
  private readonly calls: OpenCalls

  constructor(name: string, model: OpenedTextModel, { maxInputTokens, maxRows, maxMemoryBytes }: ModelLimits) {
    const { config, router, maxNewTokens } = model.options
    this.facts = {
      name,
      path: model.path,
      created: Math.floor(Date.now() / 1000),
      parameters: countParameters(declareParameters(config, router)),
      answers: true,
      dimension: null,
      maxInputTokens,
      longestToken: Math.max(longestToken(model.codec.inputs), longestToken(model.codec.targets)),
      maxNewTokens,
      experts: { encoder: expertsOf(config, 'encoder'), decoder: expertsOf(config, 'decoder') },
      expertsMemory: model.experts?.statistics().maxMemoryBytes,
    }
    this.generator = new TextGenerator(model, { maxInputTokens, maxRows, maxMemoryBytes })
    this.calls = new OpenCalls(name)
  }

  /** Compiles the model, for which the first answer would wait otherwise. */
  prepare(): Promise<void> {
    return this.generator.prepare()
  }

  /** What is wrong with a request is thrown before its first event. */
  async *generate(
    { input, options }: GenerateRequest,
    given: AbortSignal,
  ): AsyncGenerator<GenerateEvent, void, undefined> {
    const { signal, leave } = this.calls.enter(given)
    let tokens: readonly AnswerToken[] | null = null
    const onInput = (read: readonly AnswerToken[]): void => {
      tokens = read
    }
    try {
      for await (const piece of this.generator.pieces(input, { ...options, signal, onInput })) {
        if (tokens !== null) yield { kind: 'input', tokens }
        tokens = null
        yield { kind: 'piece', ...piece }
      }
    } finally {
      leave()
    }
  }

  score({ input, targets, top }: ScoreRequest, given: AbortSignal): Promise<readonly ScoredTarget[]> {
    return this.calls.run(given, signal => this.generator.scoreAnswers(input, targets, { top, signal }))
  }

  embed(): Promise<Embedded> {
    return Promise.reject(
      new ConfigError(
        `the model ${this.facts.name} answers texts and gives no vectors: ask a model for them that is an encoder alone`,
      ),
    )
  }

  async tokenize(text: string, as: TextSide): Promise<readonly AnswerToken[]> {
    return this.generator.tokenize(text, as)
  }

  async detokenize(tokens: readonly number[], as: TextSide): Promise<string> {
    return this.generator.detokenize(tokens, as)
  }

  async statistics(): Promise<ModelStatistics> {
    return this.generator.statistics()
  }

  async close(): Promise<void> {
    this.calls.close()
    await this.generator.close()
  }
}

/** The number of experts of each sparse layer of a stack. */
export const expertsOf = (config: ModelConfig, stack: StackName): number[] =>
  stackLayers(config, stack).flatMap(({ sparse }) => (sparse ? [config.numExperts] : []))
