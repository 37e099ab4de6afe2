import { ConfigError, SwitchyardError } from '../../base/errors.js'
import { defaultEngine } from '../../engine/api/engine.js'
import type { AnswerToken } from '../../infer/answer-piece.js'
import { TextGenerator } from '../../infer/text-generator.js'
import type { TextSide } from '../../infer/text-answers.js'
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

  /**
   * Compiles the model, for which the first answer would wait otherwise. Where a program is compiled for each size, a
   * few requests are answered for that; a model whose experts are paged would have to read them, so it is left out.
   */
  async prepare(onNotice: (message: string) => void = () => undefined): Promise<void> {
    await this.generator.prepare()
    const { backend } = defaultEngine()
    if (!backend.compilesEachSize || this.facts.expertsMemory !== undefined) return
    const start = performance.now()
    try {
      await this.generator.warmUp()
    } catch (error) {
      // The model can still answer: if a request meets the same fault, it ends with this error.
      if (!(error instanceof SwitchyardError)) throw error
      return onNotice(`the programs of the first requests were not all compiled: ${error.message}`)
    }
    const seconds = (performance.now() - start) / 1000
    onNotice(`${await backend.describe()}: programs of the first requests compiled in ${seconds.toFixed(1)} s`)
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
