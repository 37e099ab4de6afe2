import { setImmediate, setTimeout } from 'node:timers/promises'
import { ConfigError, SwitchyardError } from '../src/base/errors.js'
import type { AnswerToken } from '../src/infer/answer-piece.js'
import { ModelRegistry } from '../src/serve/models/registry.js'
import type {
  Embedded,
  EmbedRequest,
  GenerateEvent,
  GenerateRequest,
  Input,
  ModelFacts,
  ModelStatistics,
  ScoredTarget,
  ScoreRequest,
  SentOptions,
  ServedModel,
} from '../src/serve/models/served-model.js'

const EOS: AnswerToken = { id: 1, text: '' }
const FIRST_ID = 10

/**
 * A model for tests of the HTTP side. Its tokens are words with the spaces before them, and its answer is the input in
 * capitals. Some inputs make it behave in another way: see `generate`.
 */
export class FakeModel implements ServedModel {
  readonly facts: ModelFacts
  /** Options of the calls of `generate`, in their order. */
  readonly asked: GenerateRequest[] = []
  /** How many calls of `generate` have begun and not ended. */
  running = 0
  aborted = 0
  /** How many pieces were taken. */
  taken = 0
  isClosed = false
  private readonly words: string[] = []

  constructor(name = 'fake', facts: Partial<ModelFacts> = {}) {
    this.facts = {
      name,
      path: '/models/secret-path',
      created: 1_700_000_000,
      parameters: 123,
      answers: true,
      dimension: null,
      maxInputTokens: 100,
      longestToken: 1e5,
      maxNewTokens: 50,
      experts: { encoder: [4], decoder: [4, 4] },
      ...facts,
    }
  }

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateEvent, void, undefined> {
    this.asked.push(request)
    this.running++
    try {
      const tokens = this.tokensOf(request.input, true)
      const text = tokens.map(token => token.text).join('')
      if (tokens.length > this.facts.maxInputTokens)
        throw new ConfigError(`the input has ${tokens.length} tokens, and at most ${this.facts.maxInputTokens} fit`)
      yield { kind: 'input', tokens }
      if (text === 'nan') throw new SwitchyardError("the model's scores are not numbers (NaN) after 0 tokens")
      if (text === 'bug') throw new TypeError('cannot read secrets of undefined')
      if (text === 'wait') await aborted(signal)
      const answers = Array.from({ length: request.options.numReturned ?? 1 }, (_, i) => this.answer(text, i))
      for (const [index, answer] of answers.entries())
        for await (const piece of this.pieces(answer, request.options, signal)) yield { kind: 'piece', index, ...piece }
    } catch (error) {
      if (signal.aborted) this.aborted++
      throw error
    } finally {
      this.running--
    }
  }

  score({ input, targets, top = 0 }: ScoreRequest, signal: AbortSignal): Promise<ScoredTarget[]> {
    signal.throwIfAborted()
    if (input === 'nan') throw new SwitchyardError("the model's scores are not numbers (NaN)")
    return Promise.resolve(
      targets.map(target => {
        const tokens = this.tokensOf(target, typeof target === 'string').map(token => scored(token, top))
        return { tokens, score: -0.5 * tokens.length }
      }),
    )
  }

  embed({ texts, prompt }: EmbedRequest): Promise<Embedded> {
    if (prompt != null && prompt !== 'query') throw new ConfigError(`there is no prompt "${prompt}"`)
    const vectors = texts.map(text => Float32Array.from([text.length, 0.1, prompt === 'query' ? 1 : -1]))
    return Promise.resolve({ vectors, tokens: texts.map(text => this.tokensOf(text, true).length) })
  }

  tokenize = (text: string): Promise<AnswerToken[]> => Promise.resolve(this.tokensOf(text, true))

  detokenize(ids: readonly number[]): Promise<string> {
    return Promise.resolve(
      this.tokensOf(ids, false)
        .map(({ text }) => text)
        .join(''),
    )
  }

  statistics = (): Promise<ModelStatistics> =>
    Promise.resolve({
      running: this.running,
      waiting: 2,
      memoryBytes: 25,
      maxMemoryBytes: 100,
      steps: 7,
      stepTokens: [3, 0, 4],
      inputTokens: 10,
      generatedTokens: 9,
      expertTokens: [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ],
      droppedTokens: 9,
      paging: {
        memoryBytes: 1000,
        maxMemoryBytes: 2000,
        traffic: { disk: 100, network: 200 },
        stacks: [{ path: 'encoder/layers_1/mlp/expert', hits: 5, misses: 3, bytes: 300, waited: 250 }],
      },
    })

  close(): Promise<void> {
    this.isClosed = true
    return Promise.resolve()
  }

  /** The ids of a text, without EOS. */
  idsOf = (text: string): number[] => this.tokensOf(text, false).map(({ id }) => id)

  private tokensOf(input: Input, withEos: boolean): AnswerToken[] {
    if (typeof input !== 'string') return input.map(id => (id === 1 ? EOS : { id, text: this.wordOf(id) }))
    const tokens = (input.match(/\s*\S+|\s+$/g) ?? []).map(text => ({ id: this.idOf(text), text }))
    return withEos ? [...tokens, EOS] : tokens
  }

  private wordOf(id: number): string {
    const word = this.words[id - FIRST_ID]
    if (word === undefined) throw new ConfigError(`the input has the token id ${id}, which the vocabulary has not`)
    return word
  }

  private idOf(word: string): number {
    if (!this.words.includes(word)) this.words.push(word)
    return this.words.indexOf(word) + FIRST_ID
  }

  private answer(text: string, index: number): string {
    if (text === 'endless') return ' more'.repeat(1e5)
    if (text === 'flood') return ` ${'x'.repeat(1e5)}`.repeat(1000)
    return text.toUpperCase() + (index === 0 ? '' : ` ${index}`)
  }

  private async *pieces(answer: string, options: SentOptions, signal: AbortSignal) {
    const { maxNewTokens = this.facts.maxNewTokens, stop = [] } = options
    const { logProbabilities, experts } = options as { logProbabilities?: number; experts?: boolean }
    const shown = (token: AnswerToken): AnswerToken => ({
      ...(logProbabilities === undefined ? token : scored(token, logProbabilities)),
      ...(experts && { experts: [[token.id % 4], [0]] }),
    })
    let text = ''
    let count = 0
    for (const token of this.tokensOf(answer, true)) {
      if (token.text.trim() === 'NAP') await setTimeout(500)
      await (answer.startsWith('SLOW') ? setTimeout(20) : answer.startsWith(' more') ? setTimeout(1) : setImmediate())
      signal.throwIfAborted()
      if (token.text === ' LATE') throw new SwitchyardError("the model's scores are not numbers (NaN) after 1 token")
      const tokens = [shown(token)]
      const found = stop.map(end => (text + token.text).indexOf(end)).find(at => at >= 0)
      if (found !== undefined) {
        yield { text: (text + token.text).slice(text.length, found), tokens, finish: 'stop' as const }
        return
      }
      text += token.text
      const isFull = ++count >= maxNewTokens && answer.length < 1e5 // endless ones are ended by their clients
      this.taken++
      const finish = token === EOS ? 'stop' : isFull ? 'length' : null
      yield { text: token.text, tokens, finish: finish as 'stop' | 'length' | null }
      if (finish !== null) return
    }
  }
}

const scored = (token: AnswerToken, top: number): AnswerToken => ({
  ...token,
  logProbability: -0.5,
  ...(top > 0 && {
    top: Array.from({ length: top }, (_, i) =>
      i === 0
        ? { id: token.id, text: token.text, logProbability: -0.5 }
        : { id: 2 + i, text: `<${i}>`, logProbability: -i },
    ),
  }),
})

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const stop = (): void => reject(signal.reason as Error)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })

/** A registry in which these models are loaded. Later versions are opened by `open`. */
export async function registryOf(
  models: readonly FakeModel[],
  open: (name: string, path: string) => Promise<ServedModel> = name => Promise.resolve(new FakeModel(name)),
): Promise<ModelRegistry> {
  const given = new Map(models.map(model => [model.facts.name, model]))
  const registry = new ModelRegistry(({ name, path }) => {
    const model = given.get(name)
    given.delete(name)
    return model ? Promise.resolve(model) : open(name, path)
  })
  for (const { facts } of models) await registry.load(facts)
  return registry
}
