import protobuf from 'protobufjs/minimal.js'
import { ConfigError } from '../base/errors.js'
import { memoized } from '../base/lru.js'
import type { NormalizerSpec } from './normalizer.js'

/** The types of pieces, with their numbers in the format (sentencepiece_model.proto, SentencePiece.Type). */
const pieceTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const
export type PieceType = keyof typeof pieceTypes

export interface Piece {
  readonly text: string
  /** A log-probability, rounded to float32. */
  readonly score: number
  readonly type: PieceType
}

/** The parts of a SentencePiece unigram model that encoding and decoding depend on. A piece's id is its index. */
export interface SentencePieceModel {
  readonly pieces: readonly Piece[]
  readonly normalizer: NormalizerSpec
  /** Whether unknown characters become the pieces of their UTF-8 bytes. */
  readonly byteFallback: boolean
  /** The text of an unknown piece. */
  readonly unknownSurface: string
}

/** SentencePiece's default text of an unknown piece. */
export const UNKNOWN_SURFACE = ' \u2047 '

/** Bounds on a file. mT5, the largest of the family, has 250,000 pieces in 4.3 MB. */
export const MAX_MODEL_BYTES = 2 ** 24
const MAX_PIECES = 1_000_000

const UNIGRAM = 1
const notAModel = 'not a SentencePiece model, or a broken one'
const typeOf = new Map((Object.keys(pieceTypes) as PieceType[]).map(type => [pieceTypes[type] as number, type]))

// One decoder for all pieces: making one takes longer than decoding a piece.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

// Fields by their numbers in sentencepiece_model.proto. A kind is a wire type and how to read it.
const kinds = {
  int: { wire: 0, read: (r: protobuf.Reader): number => r.int32() },
  bool: { wire: 0, read: (r: protobuf.Reader): boolean => r.bool() },
  float: { wire: 5, read: (r: protobuf.Reader): number => r.float() },
  bytes: { wire: 2, read: (r: protobuf.Reader): Uint8Array => r.bytes() },
  text: {
    wire: 2,
    read: (r: protobuf.Reader): string => utf8.decode(r.bytes()),
  },
} as const
type Kind = keyof typeof kinds
type Fields = { readonly [name: string]: readonly [number: number, kind: Kind] }
type Message<F extends Fields> = { -readonly [N in keyof F]?: ReturnType<(typeof kinds)[F[N][1]]['read']> }

const pieceFields = { piece: [1, 'text'], score: [2, 'float'], type: [3, 'int'] } as const
const trainerFields = {
  modelType: [3, 'int'],
  suffixSpaces: [24, 'bool'],
  byteFallback: [35, 'bool'],
  unknownSurface: [44, 'text'],
} as const
const normalizerFields = {
  charsmap: [2, 'bytes'],
  addDummyPrefix: [3, 'bool'],
  removeExtraWhitespaces: [4, 'bool'],
  escapeWhitespaces: [5, 'bool'],
} as const
const denormalizerFields = { charsmap: [2, 'bytes'] } as const
const [PIECES, TRAINER, NORMALIZER, DENORMALIZER] = [1, 2, 3, 5]

/**
 * Reads a `spiece.model`, a protocol buffer from an untrusted source. A ConfigError says what is wrong with it.
 * `SentencePieceVocabulary` checks the model as a whole (special ids, scores, repeated pieces).
 */
export function parseSentencePieceModel(bytes: Uint8Array): SentencePieceModel {
  if (bytes.length > MAX_MODEL_BYTES)
    throw new ConfigError(
      `${bytes.length} bytes are too many for a SentencePiece model; at most ${MAX_MODEL_BYTES} are read`,
    )
  const pieces: Piece[] = []
  let trainer: Message<typeof trainerFields> = {}
  let normalizer: Message<typeof normalizerFields> = {}
  let denormalizer: Message<typeof denormalizerFields> = {}
  try {
    eachField(new protobuf.Reader(bytes), (number, wire, reader) => {
      if (number === PIECES) pieces.push(readPiece(message(number, wire, reader), pieces.length))
      else if (number === TRAINER) trainer = readFields(message(number, wire, reader), trainerFields)
      else if (number === NORMALIZER) normalizer = readFields(message(number, wire, reader), normalizerFields)
      else if (number === DENORMALIZER) denormalizer = readFields(message(number, wire, reader), denormalizerFields)
      else skip(reader, wire)
    })
  } catch (error) {
    if (error instanceof ConfigError) throw error
    // The protobuf reader throws plain Errors for malformed bytes, and the text decoder for texts that are not UTF-8.
    throw new ConfigError(`${notAModel}: ${(error as Error).message}`, { cause: error })
  }
  if ((trainer.modelType ?? UNIGRAM) !== UNIGRAM)
    throw new ConfigError(
      `a SentencePiece model of type ${trainer.modelType}; only unigram models (type ${UNIGRAM}), as in T5, are supported`,
    )
  if (
    trainer.suffixSpaces === true ||
    normalizer.escapeWhitespaces === false ||
    (denormalizer.charsmap?.length ?? 0) > 0
  ) {
    throw new ConfigError(
      'a SentencePiece model with treat_whitespace_as_suffix, without escape_whitespaces or with a denormalizer is not supported',
    )
  }
  return {
    pieces,
    normalizer: {
      charsmap: Uint8Array.from(normalizer.charsmap ?? []),
      addDummyPrefix: normalizer.addDummyPrefix ?? true,
      removeExtraWhitespaces: normalizer.removeExtraWhitespaces ?? true,
    },
    byteFallback: trainer.byteFallback ?? false,
    unknownSurface: trainer.unknownSurface ?? UNKNOWN_SURFACE,
  }
}

/**
 * Writes a model that `parseSentencePieceModel` and SentencePiece can read: only the fields that encoding and decoding
 * need.
 */
export function serializeSentencePieceModel(model: SentencePieceModel): Uint8Array {
  const w = new protobuf.Writer()
  for (const { text, score, type } of model.pieces) {
    w.uint32(tag(PIECES, 2))
      .fork()
      .uint32(tag(1, 2))
      .string(text)
      .uint32(tag(2, 5))
      .float(score)
      .uint32(tag(3, 0))
      .int32(pieceTypes[type])
      .ldelim()
  }
  w.uint32(tag(TRAINER, 2)).fork()
  w.uint32(tag(3, 0))
    .int32(UNIGRAM)
    .uint32(tag(35, 0))
    .bool(model.byteFallback)
    .uint32(tag(44, 2))
    .string(model.unknownSurface)
    .ldelim()
  const { charsmap, addDummyPrefix, removeExtraWhitespaces } = model.normalizer
  w.uint32(tag(NORMALIZER, 2)).fork()
  w.uint32(tag(2, 2))
    .bytes(charsmap)
    .uint32(tag(3, 0))
    .bool(addDummyPrefix)
    .uint32(tag(4, 0))
    .bool(removeExtraWhitespaces)
    .ldelim()
  return w.finish()
}

function readPiece(reader: protobuf.Reader, id: number): Piece {
  if (id >= MAX_PIECES) throw new ConfigError(`a SentencePiece model of more than ${MAX_PIECES} pieces`)
  const { piece, score = 0, type = pieceTypes.normal } = readFields(reader, pieceFields)
  const name = typeOf.get(type)
  if (name === undefined)
    throw new ConfigError(`piece ${id} of the SentencePiece model has the type ${type}, which the format does not have`)
  return { text: piece ?? '', score, type: name }
}

/** The name and the kind of each field, by its number. */
const byNumber = memoized(
  8,
  (fields: Fields) => new Map(Object.entries(fields).map(([name, [number, kind]]) => [number, [name, kind] as const])),
)

/** Reads the named fields of a message and skips all other fields. If a field is repeated, its last value counts. */
function readFields<F extends Fields>(reader: protobuf.Reader, fields: F): Message<F> {
  const result: { [name: string]: unknown } = {}
  const known = byNumber(fields)
  eachField(reader, (number, wire) => {
    const found = known.get(number)
    if (found === undefined) return skip(reader, wire)
    const [name, kind] = found
    if (wire !== kinds[kind].wire) throw wrongWire(number, wire)
    result[name] = kinds[kind].read(reader)
  })
  return result as Message<F>
}

function eachField(
  reader: protobuf.Reader,
  visit: (number: number, wire: number, reader: protobuf.Reader) => void,
): void {
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    visit(tag >>> 3, tag & 7, reader)
  }
}

/** A reader for a field whose value is a message. */
function message(number: number, wire: number, reader: protobuf.Reader): protobuf.Reader {
  if (wire !== kinds.bytes.wire) throw wrongWire(number, wire)
  return new protobuf.Reader(reader.bytes())
}

function skip(reader: protobuf.Reader, wire: number): void {
  // Groups (wire types 3 and 4) are obsolete. They may nest without limit, so they are refused.
  if (wire === 3 || wire === 4 || wire > 5)
    throw new ConfigError(`${notAModel}: a field of wire type ${wire} at byte ${reader.pos}`)
  reader.skipType(wire)
}

const wrongWire = (number: number, wire: number): ConfigError =>
  new ConfigError(`${notAModel}: field ${number} has the wire type ${wire}`)

const tag = (number: number, wire: number): number => (number << 3) | wire
