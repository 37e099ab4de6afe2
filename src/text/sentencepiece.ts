import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import { fromBase64, toBase64 } from './base64.js'
import { Normalizer, SPACE_SYMBOL } from './normalizer.js'
import { MAX_SENTINELS, sentinelNumber, sentinelText } from './sentinels.js'
import { MAX_MODEL_BYTES, parseSentencePieceModel, serializeSentencePieceModel } from './spiece-model.js'
import type { Piece, SentencePieceModel } from './spiece-model.js'
import { pieceStream } from './piece-stream.js'
import { decodeAll } from './stream.js'
import { AddedTokenCutter } from './tokenizer-json/added-tokens.js'
import { Unigram } from './unigram.js'
import { EOS_ID, PAD_ID, UNK_ID } from './vocabulary.js'
import type { TextStream, Vocabulary, VocabularyReference } from './vocabulary.js'

export const T5_SENTINELS = 100
/** Bounds time and memory. The 250,000 pieces of mT5 have less than 2 million characters in all. */
const MAX_UNITS = 2 ** 22
const MAX_USER_DEFINED = 10_000

const appended = z.int().min(0).max(MAX_SENTINELS)
export const sentencePieceSpec = z.strictObject({
  kind: z.literal('sentencepiece'),
  /** The content of a `spiece.model`, in base64. */
  model: z.string().max(Math.ceil(MAX_MODEL_BYTES / 3) * 4),
  /** How many sentinels follow the model's pieces. */
  appendedSentinels: appended,
  /** Left out for Hugging Face's rules. */
  reference: z.literal('seqio').optional(),
})

/**
 * A SentencePiece unigram model (T5, Flan-T5, Switch, mT5). It gives the ids of the sentencepiece library, with two
 * additions (the rules of Hugging Face's T5Tokenizer):
 *
 * - `<extra_id_k>` in a text is a sentinel with one id, 32000 + 99 - k for T5. Sentinels are pieces of the model itself
 *   (mT5) or are appended to it in reverse order.
 * - Texts are cut at sentinels and at `<pad>`, `</s>` and `<unk>`, and each part is encoded as a text of its own.
 *
 * By SeqIO's rules (`reference: 'seqio'`) a sentinel is a user-defined piece with a space before it: `<extra_id_k>` is
 * a sentinel at the start of a word only, and ordinary text in `x<extra_id_0>`. Special tokens are ordinary text. The
 * sentinels of mT5 have a space before them in the model, and are such pieces by either rules.
 */
export class SentencePieceVocabulary implements Vocabulary {
  readonly padId = PAD_ID
  readonly eosId = EOS_ID
  readonly unkId = UNK_ID
  readonly size: number
  readonly sentinelIds: readonly number[]
  /** The text of each piece, U+2581 for spaces; undefined for the unknown piece. */
  private readonly surfaces: readonly (string | undefined)[]
  private readonly normalizer: Normalizer
  private readonly unigram: Unigram
  /** The id of each byte's piece, if the model writes unknown characters as bytes. */
  private readonly byteIds: readonly number[] | undefined
  private readonly byteOf: ReadonlyMap<number, number>
  private readonly cutter: AddedTokenCutter

  /** `appendedSentinels` is 100 by default, as for T5. It is 0, and must be, if the model has sentinels itself. */
  constructor(
    private readonly model: SentencePieceModel,
    appendedSentinels?: number,
    private readonly options: { readonly reference?: VocabularyReference } = {},
  ) {
    checkPieces(model.pieces)
    const own = ownSentinels(model.pieces)
    const count = appendedSentinels ?? (own.length > 0 ? 0 : T5_SENTINELS)
    if (!appended.safeParse(count).success || (own.length > 0 && count > 0)) {
      throw new ConfigError(
        `${count} sentinels cannot follow a SentencePiece model with ${own.length} of its own; the number must be an integer from 0 to ${MAX_SENTINELS}, 0 if the model has any`,
      )
    }
    const end = model.pieces.length
    this.size = end + count
    this.sentinelIds = own.length > 0 ? own : Array.from({ length: count }, (_, k) => end + count - 1 - k)
    this.surfaces = surfacesOf(model.pieces, this.sentinelIds)
    const sentinels = new Set(this.sentinelIds)
    const appendedPieces = this.sentinelIds.slice(0, count).map((id, k): readonly [Piece, number] => {
      return [{ text: SPACE_SYMBOL + sentinelText(k), score: 0, type: 'userDefined' }, id]
    })
    const ownPieces = model.pieces.map((piece, id) => [piece, id] as const)
    const cutsAtSentinels = !this.isSeqio && !own.some(id => model.pieces[id].text.startsWith(SPACE_SYMBOL))
    const cut = this.sentinelIds.map((id, k) => ({ id, content: sentinelText(k) }))
    this.cutter = new AddedTokenCutter([
      ...(this.isSeqio ? [] : model.pieces.slice(0, 3).map(({ text }, id) => ({ id, content: text }))),
      ...(cutsAtSentinels ? cut : []),
    ])
    const texts = cutsAtSentinels ? ownPieces.filter(([, id]) => !sentinels.has(id)) : [...ownPieces, ...appendedPieces]
    const userDefined = texts.filter(([{ type }]) => type === 'userDefined').map(([{ text }]) => text)
    this.normalizer = new Normalizer(model.normalizer, userDefined)
    this.unigram = new Unigram(
      texts.filter(([{ type }]) => type === 'normal' || type === 'userDefined'),
      this.size,
    )
    this.byteOf = bytesOfPieces(model.pieces)
    this.byteIds = model.byteFallback ? idsOfBytes(this.byteOf) : undefined
  }

  /** Reads the bytes of a `spiece.model`. A ConfigError says what is wrong with them. */
  static fromModel(
    bytes: Uint8Array,
    appendedSentinels?: number,
    options?: { readonly reference?: VocabularyReference },
  ): SentencePieceVocabulary {
    return new SentencePieceVocabulary(parseSentencePieceModel(bytes), appendedSentinels, options)
  }

  static fromJSON({ model, appendedSentinels, reference }: z.infer<typeof sentencePieceSpec>): SentencePieceVocabulary {
    const bytes = fromBase64(model, 'vocabulary of sentencepiece: its model')
    return SentencePieceVocabulary.fromModel(bytes, appendedSentinels, { reference })
  }

  private get isSeqio(): boolean {
    return this.options.reference === 'seqio'
  }

  /**
   * A vocabulary with some of this one's pieces, renumbered in their order, and without sentinels. It keeps all pieces
   * of one character, so it can write every text that this one can, if with more pieces.
   */
  restrictTo(ids: ReadonlySet<number>): SentencePieceVocabulary {
    const keeps = ({ text, type }: Piece, id: number): boolean =>
      type !== 'normal' || ids.has(id) || Array.from(text).length === 1
    return new SentencePieceVocabulary({ ...this.model, pieces: this.model.pieces.filter(keeps) }, 0)
  }

  encode(text: string): number[] {
    return this.cutter.cut(text).flatMap(cut => (typeof cut === 'number' ? [cut] : this.encodeText(cut.text)))
  }

  decode(ids: Iterable<number>): string {
    return decodeAll(this.stream(), ids)
  }

  stream(): TextStream {
    const { surfaces, byteOf, model } = this
    return pieceStream({ surfaces, byteOf, ...model.normalizer, unknownSurface: model.unknownSurface })
  }

  bytesOf(id: number): Uint8Array | undefined {
    const byte = this.byteOf.get(id)
    return byte === undefined ? undefined : Uint8Array.of(byte)
  }

  toJSON(): z.infer<typeof sentencePieceSpec> {
    return {
      kind: 'sentencepiece',
      model: toBase64(serializeSentencePieceModel(this.model)),
      appendedSentinels: this.size - this.model.pieces.length,
      ...(this.isSeqio && { reference: 'seqio' }),
    }
  }

  private encodeText(text: string): number[] {
    const ids: number[] = []
    for (const part of this.unigram.segment(this.normalizer.normalize(text))) {
      if (typeof part === 'number') ids.push(part)
      else if (this.byteIds === undefined) ids.push(UNK_ID)
      else for (const byte of new TextEncoder().encode(part.unknown)) ids.push(this.byteIds[byte])
    }
    return ids
  }
}

function checkPieces(pieces: readonly Piece[]): void {
  const special = pieces
    .slice(0, 3)
    .map(({ type }) => type)
    .join(', ')
  if (special !== 'control, control, unknown') {
    throw new ConfigError(
      `the SentencePiece model's first pieces are of the types "${special}"; T5's are padding, EOS and unknown: "control, control, unknown". Models of other families are not supported`,
    )
  }
  const units = pieces.reduce((sum, { text }) => sum + text.length, 0)
  if (units > MAX_UNITS)
    throw new ConfigError(
      `the SentencePiece model's pieces have ${units} characters together; at most ${MAX_UNITS} are read`,
    )
  const userDefined = pieces.filter(({ type }) => type === 'userDefined').length
  if (userDefined > MAX_USER_DEFINED)
    throw new ConfigError(
      `the SentencePiece model has ${userDefined} user-defined pieces; at most ${MAX_USER_DEFINED} are read`,
    )
  const ids = new Map<string, number>()
  pieces.forEach(({ text, score, type }, id) => {
    if (text === '') throw new ConfigError(`piece ${id} of the SentencePiece model is empty`)
    if (!Number.isFinite(score))
      throw new ConfigError(`the score of piece ${id} (${JSON.stringify(text)}) of the SentencePiece model is ${score}`)
    if (type === 'unknown' && id !== UNK_ID)
      throw new ConfigError(`the SentencePiece model has two unknown pieces, ${UNK_ID} and ${id}`)
    const other = ids.get(text)
    if (other !== undefined)
      throw new ConfigError(`pieces ${other} and ${id} of the SentencePiece model are both ${JSON.stringify(text)}`)
    ids.set(text, id)
  })
}

/** The ids of the sentinels that the model has itself, in their order. */
function ownSentinels(pieces: readonly Piece[]): number[] {
  const ids = new Map<number, number>()
  pieces.forEach(({ text }, id) => {
    const k = sentinelNumber(withoutSpace(text))
    if (k !== undefined) ids.set(k, id)
  })
  const inOrder = Array.from(ids.keys(), (_, k) => ids.get(k))
  const missing = inOrder.indexOf(undefined)
  if (missing >= 0)
    throw new ConfigError(`the SentencePiece model has ${ids.size} sentinels, but no ${sentinelText(missing)}`)
  return inOrder as number[]
}

/** The decoded text of each piece. A sentinel is a separate word, whether its piece begins with a space or not. */
function surfacesOf(pieces: readonly Piece[], sentinelIds: readonly number[]): (string | undefined)[] {
  const surfaces = pieces.map(({ text, type }) => (type === 'unknown' ? undefined : type === 'control' ? '' : text))
  sentinelIds.forEach((id, k) => {
    surfaces[id] = SPACE_SYMBOL + sentinelText(k)
  })
  return surfaces
}

const withoutSpace = (text: string): string => (text.startsWith(SPACE_SYMBOL) ? text.slice(1) : text)

/** The byte of each byte piece; the piece `<0x41>` is the byte 0x41. */
function bytesOfPieces(pieces: readonly Piece[]): Map<number, number> {
  const bytes = new Map<number, number>()
  pieces.forEach(({ text, type }, id) => {
    if (type !== 'byte') return
    const hex = /^<0x([0-9A-F]{2})>$/u.exec(text)?.[1]
    if (hex === undefined)
      throw new ConfigError(
        `piece ${id} of the SentencePiece model is a byte, but is called ${JSON.stringify(text)} instead of, for example, "<0x41>"`,
      )
    bytes.set(id, Number.parseInt(hex, 16))
  })
  return bytes
}

/** The inverse of `bytesOfPieces`, for all 256 bytes. */
function idsOfBytes(byteOf: ReadonlyMap<number, number>): number[] {
  if (byteOf.size !== 256)
    throw new ConfigError(
      `the SentencePiece model writes unknown characters in bytes, but has ${byteOf.size} of the 256 byte pieces`,
    )
  const ids = new Array<number>(256)
  for (const [id, byte] of byteOf) ids[byte] = id
  return ids
}
