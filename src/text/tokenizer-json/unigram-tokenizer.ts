import { ConfigError } from '../../base/errors.js'
import { SPACE_SYMBOL } from '../normalizer.js'
import { pieceStream } from '../piece-stream.js'
import { sentinelNumber } from '../sentinels.js'
import type { Piece } from '../spiece-model.js'
import { UNKNOWN_SURFACE } from '../spiece-model.js'
import { decodeAll, textStream, wellFormed } from '../stream.js'
import { Unigram } from '../unigram.js'
import type { TextStream, Vocabulary } from '../vocabulary.js'
import { AddedTokenCutter, WHITE_SPACE } from './added-tokens.js'
import type { AddedToken } from './added-tokens.js'
import { normalizerOf } from './normalizers.js'
import type { Normalize } from './normalizers.js'
import { preTokenizerOf } from './pre-tokenizers.js'
import type { PreTokenize } from './pre-tokenizers.js'
import { aroundOf } from './post-processors.js'
import type { Around } from './post-processors.js'
import { sentinelsIn, skippedIds, specialId } from './schema.js'
import type { SpecialTokens, UnigramJson } from './schema.js'
import { unsupported } from './steps.js'
import type { Step } from './steps.js'

const MAX_UNITS = 2 ** 22
const startsWithSpace = new RegExp(`^${WHITE_SPACE}`, 'u')
/** Steps of a decoder that undo Metaspace, and what `stream` does anyway. */
const decoderSteps = ['Metaspace', 'Replace', 'ByteFallback', 'Fuse', 'Strip']

/**
 * A tokenizer.json with a Unigram model. It gives the ids of Hugging Face's tokenizers library, with one difference: a
 * sentinel is decoded with a space before it, so that it is a word of its own.
 */
export class UnigramTokenizer implements Vocabulary {
  readonly padId: number
  readonly eosId: number
  readonly unkId: number
  readonly size: number
  readonly sentinelIds: readonly number[]
  private readonly surfaces: (string | undefined)[]
  private readonly raw: AddedTokenCutter
  private readonly normalized: AddedTokenCutter
  private readonly normalize: Normalize
  private readonly preTokenize: PreTokenize
  private readonly unigram: Unigram
  private readonly byteIds: ReadonlyMap<number, number> | undefined
  private readonly byteOf: ReadonlyMap<number, number>
  private readonly joinsBySpaces: boolean
  private readonly around: Around
  /** Special tokens that a decoded text does not show. */
  private readonly skipped: ReadonlySet<number>
  /** What follows stripped spaces is not at the start of the text, for Metaspace's prepend_scheme "first". */
  private readonly stripsLeft: boolean

  constructor(
    private readonly json: UnigramJson,
    private readonly special: SpecialTokens = {},
  ) {
    const { model, decoder } = json
    const listed = json.added_tokens ?? []
    const { vocab } = model
    if (vocab.reduce((sum, [text]) => sum + text.length, 0) > MAX_UNITS)
      throw new ConfigError(`the pieces of the tokenizer.json have more than ${MAX_UNITS} characters together`)
    const ids = new Map(vocab.map(([text], i) => [text, i]))
    const added = listed.map(token => {
      checkAdded(token, vocab, ids)
      // As in the library: a token that is a piece too has the id of the piece.
      return { ...token, id: ids.get(token.content) ?? token.id }
    })
    this.padId = specialId('pad', special, ids)
    this.eosId = specialId('eos', special, ids)
    this.unkId = model.unk_id ?? specialId('unk', special, ids)
    if (this.unkId >= vocab.length)
      throw new ConfigError(`the unk_id of the tokenizer.json is ${this.unkId}, and it has ${vocab.length} pieces`)
    this.size = Math.max(vocab.length, ...added.map(({ id }) => id + 1))
    for (const { id, content } of added) ids.set(content, id)
    this.around = aroundOf(json.post_processor)
    this.skipped = skippedIds(special, this.around, ids)
    this.sentinelIds = sentinelsIn(added)
    this.normalize = normalizerOf(json.normalizer)
    this.preTokenize = preTokenizerOf(json.pre_tokenizer)
    this.raw = new AddedTokenCutter(added.filter(({ normalized }) => normalized !== true))
    this.normalized = new AddedTokenCutter(
      added
        .filter(({ normalized }) => normalized === true)
        .map(token => ({ ...token, content: this.normalize(token.content) })),
    )
    const bytes = model.byte_fallback === true ? bytesOf(vocab.map(([text]) => text)) : new Map<number, number>()
    this.byteOf = bytes
    this.byteIds = bytes.size > 0 ? new Map([...bytes].map(([id, byte]) => [byte, id])) : undefined
    const matched = vocab.flatMap(([text, score], id): (readonly [Piece, number])[] =>
      text === '' ? [] : [[{ text, score: scoreOf(score), type: 'normal' }, id]],
    )
    this.unigram = new Unigram(matched, vocab.length, 'float64')
    this.surfaces = vocab.map(([text]) => text)
    for (const { id, content } of added) this.surfaces[id] = content
    for (const id of this.sentinelIds) this.surfaces[id] = SPACE_SYMBOL + this.surfaces[id]
    for (const id of this.skipped) this.surfaces[id] = ''
    this.surfaces[this.unkId] = undefined
    this.stripsLeft = stepsIn(json.normalizer, 'normalizers').some(
      step => step.type === 'Strip' && step.strip_left !== false,
    )
    const preSteps = stepsIn(json.pre_tokenizer, 'pretokenizers')
    this.joinsBySpaces =
      (decoder === null || decoder === undefined) && !preSteps.some(({ type }) => type === 'Metaspace')
    for (const step of stepsIn(decoder, 'decoders'))
      if (!decoderSteps.includes(step.type)) throw unsupported('decoder', step)
  }

  encode(text: string): number[] {
    const ids: number[] = []
    for (const cut of this.raw.cut(wellFormed(text), true)) {
      if (typeof cut === 'number') ids.push(cut)
      else
        for (const part of this.normalized.cut(
          this.normalize(cut.text),
          cut.first && !(this.stripsLeft && startsWithSpace.test(cut.text)),
        )) {
          if (typeof part === 'number') ids.push(part)
          else if (part.text !== '')
            for (const word of this.preTokenize([part])) if (word.text !== '') this.pushWord(word.text, ids)
        }
    }
    return ids
  }

  withSpecialTokens(ids: readonly number[]): number[] {
    return [...this.around.before, ...ids, ...this.around.after]
  }

  decode(ids: Iterable<number>): string {
    return decodeAll(this.stream(), ids)
  }

  stream(): TextStream {
    const { surfaces, byteOf, joinsBySpaces, skipped } = this
    if (!joinsBySpaces)
      return pieceStream({
        surfaces,
        byteOf,
        addDummyPrefix: true,
        removeExtraWhitespaces: true,
        unknownSurface: UNKNOWN_SURFACE,
        special: this,
      })
    let started = false
    return textStream(
      id => {
        if (skipped.has(id)) return ''
        const text = (surfaces[id] ?? UNKNOWN_SURFACE.trim()).replace(SPACE_SYMBOL, '')
        const separator = started ? ' ' : ''
        started = true
        return separator + text
      },
      undefined,
      this,
    )
  }

  toJSON(): { kind: 'tokenizerJson'; tokenizer: Record<string, unknown>; special?: SpecialTokens } {
    const special = Object.keys(this.special).length > 0 ? { special: this.special } : {}
    return { kind: 'tokenizerJson', tokenizer: this.json, ...special }
  }

  private pushWord(word: string, ids: number[]): void {
    for (const part of this.unigram.segment(word)) {
      if (typeof part === 'number') ids.push(part)
      else {
        const bytes =
          this.byteIds && Array.from(new TextEncoder().encode(part.unknown), byte => this.byteIds!.get(byte))
        if (bytes === undefined || bytes.includes(undefined)) ids.push(this.unkId)
        else ids.push(...(bytes as number[]))
      }
    }
  }
}

function checkAdded(
  { id, content }: AddedToken,
  vocab: UnigramJson['model']['vocab'],
  ids: ReadonlyMap<string, number>,
): void {
  if (ids.has(content) || id >= vocab.length) return
  if (vocab[id][0] === SPACE_SYMBOL + content && sentinelNumber(content) !== undefined) return
  throw new ConfigError(
    `the added token ${JSON.stringify(content)} of the tokenizer.json has the id ${id}, which is that of the piece ${JSON.stringify(vocab[id][0])}`,
  )
}

/**
 * A score as the library reads it from JSON: all its digits as a whole number, divided by a power of ten. The last bit
 * may differ from the nearest float64, which decides ties.
 */
function scoreOf(score: number): number {
  const [, sign, whole, fraction] = /^(-?)(\d+)\.(\d{1,18})$/u.exec(String(score)) ?? []
  if (fraction === undefined) return score
  return (sign === '-' ? -1 : 1) * (Number(whole + fraction) / 10 ** fraction.length)
}

function bytesOf(texts: readonly string[]): Map<number, number> {
  return new Map(
    texts.flatMap((text, id): [number, number][] => {
      const hex = /^<0x([0-9A-F]{2})>$/u.exec(text)?.[1]
      return hex === undefined ? [] : [[id, Number.parseInt(hex, 16)]]
    }),
  )
}

const stepsIn = (step: Step | null | undefined, key: 'normalizers' | 'pretokenizers' | 'decoders'): Step[] =>
  step === null || step === undefined
    ? []
    : step.type === 'Sequence'
      ? ((step[key] as Step[] | undefined) ?? [])
      : [step]
