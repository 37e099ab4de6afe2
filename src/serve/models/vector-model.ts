import { ConfigError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import type { AnswerToken } from '../../infer/answer-piece.js'
import type { TextEmbedder } from '../../infer/embed/text-embedder.js'
import type { TextSide } from '../../infer/text-answers.js'
import { TokenTexts } from '../../infer/token-texts.js'
import { countParameters, declareParameters } from '../../model/parameters.js'
import { inputIds } from '../../text/special-tokens.js'
import { expertsOf } from './answering-model.js'
import { longestToken } from './longest-token.js'
import type { ModelLimits } from './messages.js'
import { OpenCalls } from './open-calls.js'
import type { Embedded, EmbedRequest, GenerateEvent, ModelFacts, ModelStatistics, ServedModel } from './served-model.js'
import { noStatistics } from './statistics.js'

/** A model of this process that gives vectors of texts. */
export class VectorModel implements ServedModel {
  readonly facts: ModelFacts
  private readonly texts: TokenTexts
  private readonly calls: OpenCalls
  private running = 0
  private inputTokens = 0

  constructor(
    name: string,
    path: string,
    private readonly embedder: TextEmbedder,
    { maxInputTokens }: ModelLimits,
  ) {
    const { options, codec } = embedder.model
    const { config, router } = options
    this.facts = {
      name,
      path,
      created: Math.floor(Date.now() / 1000),
      parameters: countParameters(declareParameters(config, router).filter(({ place }) => place.stack !== 'decoder')),
      answers: false,
      dimension: embedder.dimension,
      maxInputTokens,
      longestToken: longestToken(codec.inputs),
      maxNewTokens: 0,
      experts: { encoder: expertsOf(config, 'encoder'), decoder: [] },
      expertsMemory: embedder.model.experts?.statistics().maxMemoryBytes,
    }
    this.texts = new TokenTexts(codec.inputs)
    this.calls = new OpenCalls(name)
  }

  // oxlint-disable-next-line require-yield -- it has no answers
  async *generate(): AsyncGenerator<GenerateEvent, void, undefined> {
    throw this.noAnswers()
  }

  score(): Promise<never> {
    return Promise.reject(this.noAnswers())
  }

  embed({ texts, prompt }: EmbedRequest, given: AbortSignal): Promise<Embedded> {
    return this.calls.run(given, async signal => {
      const { maxInputTokens, name } = this.facts
      const prefix = this.embedder.promptText(prompt)
      const tokens = texts.map(text => this.embedder.inputOf(text, prefix).length)
      const tooLong = tokens.findIndex(count => count > maxInputTokens)
      if (tooLong >= 0)
        throw new ConfigError(
          `the text ${tooLong} has ${formatCount(tokens[tooLong])} tokens, and at most ${formatCount(maxInputTokens)} are read by the model ${name}: shorten it`,
        )
      this.running++
      try {
        const vectors = await this.embedder.embed(texts, { prompt, signal })
        this.inputTokens += tokens.reduce((a, b) => a + b, 0)
        return { vectors, tokens }
      } finally {
        this.running--
      }
    })
  }

  async tokenize(text: string, as: TextSide): Promise<readonly AnswerToken[]> {
    if (as === 'answer') throw this.noAnswers()
    const { inputs, prepare } = this.embedder.model.codec
    return this.texts.tokensOf(inputIds(inputs, prepare(text)))
  }

  async detokenize(tokens: readonly number[], as: TextSide): Promise<string> {
    if (as === 'answer') throw this.noAnswers()
    return this.embedder.model.codec.inputs.decode(tokens)
  }

  async statistics(): Promise<ModelStatistics> {
    const { running, inputTokens } = this
    const paging = this.embedder.model.experts?.statistics()
    return { ...noStatistics, running, inputTokens, ...(paging && { paging }) }
  }

  async close(): Promise<void> {
    this.calls.close()
    await this.embedder.close()
  }

  private noAnswers(): ConfigError {
    return new ConfigError(`the model ${this.facts.name} gives vectors of texts, and no answers`)
  }
}
