import { Tokenizer } from '@huggingface/tokenizers'
import { ConfigError } from '../../base/errors.js'
import { decodeAll, textStream, Utf8Stream, wellFormed } from '../stream.js'
import { UNKNOWN_TEXT } from '../vocabulary.js'
import type { TextStream, Vocabulary } from '../vocabulary.js'
import { aroundOf } from './post-processors.js'
import type { Around } from './post-processors.js'
import { sentinelsIn, skippedIds, specialId } from './schema.js'
import type { SpecialTokens, TableJson } from './schema.js'
import { unsupported } from './steps.js'

/** Parts that the library wants named, if only as null. */
const unset = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null }

/** Decodes tokens one by one. */
interface TokenDecoder {
  push(token: string): string
  flush(): string
}

/** A tokenizer.json with a BPE, WordPiece or WordLevel model, through @huggingface/tokenizers. */
export class TableTokenizer implements Vocabulary {
  readonly padId: number
  readonly eosId: number
  readonly unkId: number
  readonly size: number
  readonly sentinelIds: readonly number[]
  private readonly tokenizer: Tokenizer
  private readonly tokens = new Map<number, string>()
  private readonly added: ReadonlyMap<number, string>
  private readonly newDecoder: () => TokenDecoder
  private readonly around: Around
  /** Special tokens that a decoded text does not show. */
  private readonly skipped: ReadonlySet<number>

  constructor(
    private readonly json: TableJson,
    private readonly special: SpecialTokens = {},
  ) {
    const { model, decoder } = json
    const all = json.added_tokens ?? []
    const ids = new Map(Object.entries(model.vocab))
    for (const { id, content } of all) ids.set(content, id)
    for (const [text, id] of ids) this.tokens.set(id, text)
    this.padId = specialId('pad', special, ids)
    this.eosId = specialId('eos', special, ids)
    const unk = special.unk ?? model.unk_token
    // Byte-level models have pieces for everything, and may lack an unknown token.
    this.unkId = typeof unk === 'string' ? specialId('unk', { unk }, ids) : (ids.get('<unk>') ?? this.padId)
    this.around = aroundOf(json.post_processor)
    this.skipped = skippedIds(special, this.around, ids)
    this.added = new Map(all.map(({ id, content }) => [id, content]))
    this.size = Math.max(...ids.values()) + 1
    this.sentinelIds = sentinelsIn(all)
    this.newDecoder = decoderOf(decoder ?? { type: 'null' })
    try {
      this.tokenizer = new Tokenizer({ ...unset, ...json, added_tokens: all, post_processor: null }, {})
    } catch (error) {
      throw new ConfigError(`the tokenizer.json cannot be read: ${(error as Error).message}`, { cause: error })
    }
  }

  encode(text: string): number[] {
    return [...this.tokenizer.encode(wellFormed(text), { add_special_tokens: false }).ids]
  }

  withSpecialTokens(ids: readonly number[]): number[] {
    return [...this.around.before, ...ids, ...this.around.after]
  }

  decode(ids: Iterable<number>): string {
    return decodeAll(this.stream(), ids)
  }

  stream(): TextStream {
    const decoder = this.newDecoder()
    return textStream(
      id => {
        if (this.skipped.has(id)) return ''
        const added = id === this.unkId ? undefined : this.added.get(id)
        if (added !== undefined) return decoder.flush() + added
        const token = id === this.unkId ? undefined : this.tokens.get(id)
        return token === undefined ? decoder.flush() + UNKNOWN_TEXT : decoder.push(token)
      },
      () => decoder.flush(),
      this,
    )
  }

  toJSON(): { kind: 'tokenizerJson'; tokenizer: Record<string, unknown>; special?: SpecialTokens } {
    const special = Object.keys(this.special).length > 0 ? { special: this.special } : {}
    return { kind: 'tokenizerJson', tokenizer: this.json, ...special }
  }
}

/** Makes decoders of a type. Throws a ConfigError that names a decoder that is not supported. */
function decoderOf(step: { readonly type: string; readonly [key: string]: unknown }): () => TokenDecoder {
  if (step.type === 'ByteLevel') return byteLevel
  if (step.type === 'WordPiece') return () => wordPiece(String(step.prefix ?? '##'), step.cleanup !== false)
  if (step.type === 'null') return () => wordPiece('', false)
  throw unsupported('decoder', step)
}

/** Each character of a token stands for a byte (GPT-2's table). */
function byteLevel(): TokenDecoder {
  const utf8 = new Utf8Stream()
  return {
    push: token =>
      Array.from(token, character => {
        const byte = byteOfCharacter.get(character)
        return byte === undefined ? utf8.flush() + character : utf8.push(byte)
      }).join(''),
    flush: () => utf8.flush(),
  }
}

/** GPT-2's table: printable characters of Latin-1 stand for themselves, other bytes for characters from U+0100 on. */
const byteOfCharacter: ReadonlyMap<string, number> = (() => {
  const isPrintable = (byte: number): boolean => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173)
  let next = 256
  return new Map(
    Array.from({ length: 256 }, (_, byte) => [String.fromCharCode(isPrintable(byte) ? byte : next++), byte]),
  )
})()

/** Tokens are words, joined by spaces; one that begins with the prefix continues a word. */
function wordPiece(prefix: string, cleansUp: boolean): TokenDecoder {
  let started = false
  return {
    push: token => {
      const continues = started && prefix !== '' && token.startsWith(prefix)
      const text = continues ? token.slice(prefix.length) : `${started ? ' ' : ''}${token}`
      started = true
      return cleansUp ? cleanUp(text) : text
    },
    flush: () => '',
  }
}

/** Removes spaces before punctuation and in English contractions, as transformers does. */
const cleanUp = (text: string): string =>
  text
    .replace(/ ([.?!,])/gu, '$1')
    .replace(/ ' /gu, "'")
    .replace(/ (n't|'m|'s|'ve|'re)/gu, '$1')
    .replace(/ do not/gu, " don't")
