import { ConfigError, SwitchyardError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { norm, similarityOf } from '../../base/similarity.js'
import type { Similarity } from '../../base/similarity.js'
import { quote } from '../../checkpoint/format.js'
import type { ForwardOptions } from '../../model/types.js'
import type { TextCodec } from '../../text/codec.js'
import { withSpecialTokens } from '../../text/special-tokens.js'
import { checkIds } from '../check-ids.js'
import type { PagedExperts } from '../paged-experts.js'
import type { TextOrIds } from '../text-answers.js'
import { ExpertReaders } from '../paging/readers.js'
import { batchEncoder, inputOfToken } from './encode-batch.js'
import type { BatchEncoder, EmbeddingWeights } from './encode-batch.js'
import type { VectorHead } from './vector-layers.js'

/** A model that computes a vector (an embedding) for a text. */
export interface EmbeddingModel {
  readonly weights: EmbeddingWeights
  readonly options: ForwardOptions
  readonly head: VectorHead
  readonly codec: TextCodec
  /** How many numbers a vector has. */
  readonly dimension: number
  /** The most tokens of a text, EOS included; longer texts are cut. undefined: any number. */
  readonly maxLength?: number
  /** An error message if one text of so many tokens does not fit into memory. */
  readonly lengthProblem?: (tokens: number) => string | undefined
  /** Texts to put before a text, by name. */
  readonly prompts: Readonly<Record<string, string>>
  /** The prompt to use unless a call names another. */
  readonly defaultPrompt?: string
  /** How its vectors are compared. */
  readonly similarity: Similarity
  /** Receives messages for a person: that texts are cut, or that the model is compiled for each size of its inputs. */
  readonly onNotice?: (message: string) => void
  /** The experts, if they are read when tokens meet them. */
  readonly experts?: Pick<PagedExperts, 'during' | 'statistics'>
  /** Closes the files that embedding reads. Afterwards the model cannot embed. */
  close?(): Promise<void>
}

export interface EmbedOptions {
  /** The name of one of the model's prompts; null for none. Default: the model's default prompt, if it has one. */
  prompt?: string | null
  /** Whether each vector is divided by its length. Default: false. */
  normalize?: boolean
  /** Ends the work between two batches, and the reads of experts; the call rejects with the signal's reason. */
  signal?: AbortSignal
}

/** The vector of a text, or why it has none. `index`: the text's place in the list that was given. */
export type EmbeddedText =
  { readonly index: number; readonly vector: Float32Array } | { readonly index: number; readonly error: unknown }

/** A batch has at most so many texts, and at most so many tokens unless it is one text. */
const MAX_ROWS = 64
const MAX_TOKENS = 4096

/**
 * Computes vectors of texts. A vector depends neither on the other texts of a call nor on padding. A long-lived process
 * needs one TextEmbedder for each model.
 */
export class TextEmbedder {
  private readonly encodeBatch: BatchEncoder
  private hasSaidCut = false

  /** The embedder takes the model's weights over: they cannot be used for anything else afterwards. */
  constructor(readonly model: EmbeddingModel) {
    this.encodeBatch = batchEncoder(model.weights, model.head, model.options, { onNotice: model.onNotice })
  }

  /** How many numbers a vector has. */
  get dimension(): number {
    return this.model.dimension
  }

  /** How alike two vectors are, by the model's measure: the cosine of their angle unless the model names another. */
  similarity(a: Float32Array, b: Float32Array): number {
    return similarityOf(this.model.similarity, a, b)
  }

  /**
   * The vectors of texts, or of token ids as they enter the encoder, in their order. `onProgress` is called after each
   * batch with the number of texts that are done. Throws a ConfigError for an unknown prompt, and the error of the
   * first text that has one: see `embedEach`.
   */
  async embed(
    texts: readonly TextOrIds[],
    options: EmbedOptions = {},
    onProgress?: (done: number) => void,
  ): Promise<Float32Array[]> {
    const vectors = new Array<Float32Array>(texts.length)
    let done = 0
    for await (const batch of this.embedEach(texts, options)) {
      for (const text of batch) {
        if ('error' in text) throw text.error
        vectors[text.index] = text.vector
      }
      onProgress?.((done += batch.length))
    }
    return vectors
  }

  /**
   * As `embed`, batch by batch, and a text that has an error fails alone: a ConfigError if it does not fit into memory,
   * a FileError if an expert that its tokens met cannot be read, a SwitchyardError if its vector has NaN or an
   * infinity. Texts of similar length share a batch, which leaves little padding; the longest come first.
   */
  async *embedEach(
    texts: readonly TextOrIds[],
    { prompt, normalize = false, signal }: EmbedOptions = {},
  ): AsyncGenerator<readonly EmbeddedText[], void, undefined> {
    const prefix = this.promptText(prompt)
    const inputs = texts.map(text => this.inputOf(text, prefix))
    const promptLength = this.promptLength(prefix)
    for (const batch of batches(inputs)) {
      signal?.throwIfAborted()
      const tooLong = batch.flatMap(index => {
        const problem = this.model.lengthProblem?.(inputs[index].length)
        return problem === undefined ? [] : { index, error: new ConfigError(problem) }
      })
      const fitting = batch.filter(i => !tooLong.some(({ index }) => index === i))
      const encoded = fitting.map(i => inputs[i])
      const vectors = encoded.length > 0 ? await this.encode(encoded, promptLength, signal) : []
      yield [
        ...tooLong,
        ...fitting.map((index, row): EmbeddedText => {
          const given = vectors[row]
          if (!(given instanceof Float32Array)) return { index, ...given }
          const vector = given.slice(0, this.dimension)
          if (!vector.every(Number.isFinite)) return { index, error: notFinite(texts[index]) }
          return { index, vector: normalize ? unit(vector) : vector }
        }),
      ]
    }
  }

  /** The vectors of a batch. A text whose tokens met an expert that cannot be read has the error instead. */
  private async encode(
    inputs: readonly (readonly number[])[],
    promptLength: number,
    signal: AbortSignal | undefined,
  ): Promise<(Float32Array | { error: unknown })[]> {
    const pass = (): Promise<Float32Array[]> => this.encodeBatch(inputs, promptLength)
    const { experts } = this.model
    if (!experts) return pass()
    const rows = [...inputs.keys()]
    const readers = new ExpertReaders(rows, token => inputOfToken(inputs, token))
    const leave = (): void => rows.forEach(row => readers.leave(row))
    signal?.addEventListener('abort', leave, { once: true })
    let vectors: Float32Array[] = []
    try {
      vectors = await experts.during(readers, pass)
    } catch (error) {
      signal?.throwIfAborted()
      if (rows.some(row => readers.failureOf(row) === undefined)) throw error
    } finally {
      signal?.removeEventListener('abort', leave)
    }
    return rows.map(row => {
      const error = readers.failureOf(row)
      return error === undefined ? vectors[row] : { error }
    })
  }

  /** Closes the files of a model whose experts are paged; of other models nothing is open. */
  async close(): Promise<void> {
    await this.model.close?.()
  }

  /** The text of a prompt. Throws a ConfigError if the model has no prompt of this name. */
  promptText(name: string | null | undefined): string {
    const { prompts, defaultPrompt } = this.model
    const chosen = name === undefined ? defaultPrompt : name
    if (chosen === undefined || chosen === null) return ''
    if (Object.hasOwn(prompts, chosen)) return prompts[chosen]
    const names = Object.keys(prompts)
    throw new ConfigError(
      `the model has no prompt "${chosen}": it has ${names.length > 0 ? names.map(known => `"${known}"`).join(', ') : 'none'}`,
    )
  }

  /**
   * The token ids of a text behind a prompt. Throws a ConfigError if given ids are not of the model's vocabulary, or
   * more than it reads: they are not cut, since special tokens may be among the last of them.
   */
  inputOf(text: TextOrIds, prompt: string): readonly number[] {
    if (typeof text === 'string') return this.tokensOf(prompt + text)
    const { codec, maxLength = Infinity, options } = this.model
    checkIds('the text', text, options.config)
    const ids = prompt === '' ? text : [...codec.inputs.encode(codec.prepare(prompt)), ...text]
    if (ids.length > maxLength)
      throw new ConfigError(
        `a text has ${formatCount(ids.length)} token ids with its prompt, and the model reads ${formatCount(maxLength)}: give fewer`,
      )
    return ids
  }

  /** The token ids of a text, with special tokens, cut to the model's greatest length. */
  tokensOf(text: string): number[] {
    const { codec, maxLength = Infinity } = this.model
    const ids = codec.inputs.encode(codec.prepare(text))
    const whole = withSpecialTokens(codec.inputs, ids)
    if (whole.length <= maxLength) return whole
    if (!this.hasSaidCut) {
      this.hasSaidCut = true
      this.model.onNotice?.(
        `a text has ${formatCount(whole.length)} tokens, and the model reads ${formatCount(maxLength)}: it is cut, as all longer texts are`,
      )
    }
    const added = withSpecialTokens(codec.inputs, []).length
    return withSpecialTokens(codec.inputs, ids.slice(0, maxLength - added))
  }

  /** The number of tokens of a prompt, without EOS. */
  private promptLength(prompt: string): number {
    if (prompt === '') return 0
    const ids = this.tokensOf(prompt)
    return ids.at(-1) === this.model.codec.inputs.eosId ? ids.length - 1 : ids.length
  }
}

/** The indices of inputs in batches of similar length, the longest first. */
function* batches(inputs: readonly (readonly number[])[]): Generator<number[]> {
  const order = inputs.map((_, i) => i).sort((a, b) => inputs[b].length - inputs[a].length)
  for (let start = 0; start < order.length;) {
    const rows = 2 ** Math.floor(Math.log2(Math.max(1, MAX_TOKENS / inputs[order[start]].length)))
    yield order.slice(start, (start += Math.min(MAX_ROWS, rows)))
  }
}

const notFinite = (text: TextOrIds): SwitchyardError =>
  new SwitchyardError(
    `the vector of ${typeof text === 'string' ? `the text ${quote(text)}` : `a text of ${text.length} token ids`} has numbers that are NaN or infinite: the model's weights are damaged, or too large for this text`,
  )

/** A vector divided by its length. */
function unit(vector: Float32Array): Float32Array {
  const length = norm(vector)
  return vector.map(x => x / length)
}
