import { ConfigError } from '../../base/errors.js'
import type { AnswerToken } from '../../infer/answer-piece.js'
import { answerVocabulary } from '../../infer/answer-vocabulary.js'
import { TextGenerator } from '../../infer/text-generator.js'
import { TokenTexts } from '../../infer/token-texts.js'
import { specialIdsOf, stackLayers } from '../../model/config.js'
import type { ModelConfig, StackName } from '../../model/config.js'
import { countParameters, declareParameters } from '../../model/parameters.js'
import type { OpenedTextModel } from '../../open/text-model.js'
import { inputIds, targetIds } from '../../text/special-tokens.js'
import type { Vocabulary } from '../../text/vocabulary.js'
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
  private readonly answers: Vocabulary
  private readonly inputTexts: TokenTexts
  private readonly answerTexts: TokenTexts
  private readonly calls: OpenCalls

  constructor(
    name: string,
    private readonly model: OpenedTextModel,
    { maxInputTokens, maxRows, maxMemoryBytes }: ModelLimits,
  ) {
    const { config, router, maxNewTokens } = model.options
    this.facts = {
      name,
      path: model.path,
      created: Math.floor(Date.now() / 1000),
      parameters: countParameters(declareParameters(config, router)),
      answers: true,
      dimension: null,
      maxInputTokens,
      maxNewTokens,
      experts: { encoder: expertsOf(config, 'encoder'), decoder: expertsOf(config, 'decoder') },
    }
    this.generator = new TextGenerator(model, { maxInputTokens, maxRows, maxMemoryBytes })
    this.answers = answerVocabulary(model.codec.targets, specialIdsOf(config).eosIds)
    this.inputTexts = new TokenTexts(model.codec.inputs)
    this.answerTexts = new TokenTexts(this.answers)
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
    return this.calls.run(given, signal =>
      Promise.all(targets.map(target => this.generator.scoreTokens(input, target, { top, signal }))),
    )
  }

  embed(): Promise<Embedded> {
    return Promise.reject(
      new ConfigError(
        `the model ${this.facts.name} answers texts and gives no vectors: ask a model for them that is an encoder alone`,
      ),
    )
  }

  async tokenize(text: string, as: 'input' | 'answer'): Promise<readonly AnswerToken[]> {
    const { inputs, targets, prepare } = this.model.codec
    if (as === 'input') return tokensOf(inputIds(inputs, prepare(text)), this.inputTexts)
    const ids = targetIds(targets, text)
    return tokensOf([...ids.slice(0, -1), this.answers.eosId], this.answerTexts)
  }

  async detokenize(tokens: readonly number[], as: 'input' | 'answer'): Promise<string> {
    return (as === 'input' ? this.model.codec.inputs : this.answers).decode(tokens)
  }

  async statistics(): Promise<ModelStatistics> {
    return this.generator.statistics()
  }

  async close(): Promise<void> {
    this.calls.close()
  }
}

/** Token ids with their texts. */
export const tokensOf = (ids: readonly number[], texts: TokenTexts): AnswerToken[] =>
  ids.map((id, i) => ({ id, text: texts.of(id, i === 0) }))

/** The number of experts of each sparse layer of a stack. */
export const expertsOf = (config: ModelConfig, stack: StackName): number[] =>
  stackLayers(config, stack).flatMap(({ sparse }) => (sparse ? [config.numExperts] : []))
