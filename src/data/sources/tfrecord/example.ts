import protobuf from 'protobufjs/minimal.js'
import { FileError } from '../../../base/errors.js'
import type { Fields, FieldValue } from '../../preprocessor.js'
import type { RecordFormat } from '../records.js'
import { cutTfRecords } from './framing.js'

/**
 * What a feature of tf.train.Example holds: one value (`text`, `int`, `float`) or a list of any length (`texts`,
 * `ints`, `floats`).
 */
export type FeatureType = 'text' | 'int' | 'float' | 'texts' | 'ints' | 'floats'

/**
 * TFRecord files of tf.train.Example. With `types`, each example has exactly the named features. Without, it has all
 * features of the file, and a list with one value is read as that value. Bytes are read as UTF-8 text.
 */
export const tfExampleFormat = (types?: Readonly<Record<string, FeatureType>>): RecordFormat => ({
  cut: cutTfRecords,
  parse: (bytes, where) => typed(readExample(bytes, where), types, where),
})

type Values = readonly string[] | Int32Array | readonly bigint[] | Float32Array

function typed(
  features: ReadonlyMap<string, Values>,
  types: Readonly<Record<string, FeatureType>> | undefined,
  where: string,
): Fields {
  if (types === undefined)
    return Object.fromEntries(
      Array.from(features, ([name, values]) => [name, values.length === 1 ? values[0] : values]),
    )
  return Object.fromEntries(
    Object.entries(types).map(([name, type]) => {
      const values = features.get(name)
      if (values === undefined)
        throw new FileError(`${where}: has no feature "${name}"; it has ${Array.from(features.keys()).join(', ')}`)
      return [name, valueOf(values, type, `${where}: the feature "${name}"`)]
    }),
  )
}

function valueOf(values: Values, type: FeatureType, where: string): FieldValue {
  const list = type.endsWith('s')
  const kind = list ? type.slice(0, -1) : type
  // A list without values has no kind of its own: protobuf leaves it out.
  if (values.length > 0 && kindOf(values) !== kind)
    throw new FileError(`${where} holds ${kindOf(values)}s, not ${kind}s`)
  if (list) return values.length > 0 ? values : emptyOf(kind)
  if (values.length !== 1) throw new FileError(`${where} has ${values.length} values, not one: read it as "${kind}s"`)
  return values[0]
}

const emptyOf = (kind: string): FieldValue =>
  kind === 'int' ? new Int32Array() : kind === 'float' ? new Float32Array() : []

const kindOf = (values: Values): string =>
  values instanceof Float32Array ? 'float' : typeof values[0] === 'string' ? 'text' : 'int'

/** The features of a serialized tf.train.Example (tensorflow/core/example/example.proto and feature.proto). */
function readExample(bytes: Uint8Array, where: string): ReadonlyMap<string, Values> {
  const features = new Map<string, Values>()
  try {
    eachMessage(bytes, 1, all => eachMessage(all, 1, entry => readEntry(entry, features)))
  } catch (error) {
    // protobufjs and the text decoder throw plain errors for malformed bytes.
    throw new FileError(
      `${where}: not a tf.train.Example, or one with bytes that are not UTF-8: ${(error as Error).message}`,
      {
        cause: error,
      },
    )
  }
  return features
}

/** Reads an entry of the map from names to features. */
function readEntry(bytes: Uint8Array, into: Map<string, Values>): void {
  let name = ''
  let values: Values = []
  eachField(bytes, (field, reader) => {
    if (field === 1) name = utf8.decode(reader.bytes())
    else if (field === 2) values = readFeature(reader.bytes())
    else return false
    return true
  })
  into.set(name, values)
}

/** A feature has one of three lists: bytes (1), floats (2) or int64 (3). Each list is field 1 of its message. */
function readFeature(bytes: Uint8Array): Values {
  let values: Values = []
  eachField(bytes, (field, reader) => {
    if (field === 1) values = readTexts(reader.bytes())
    else if (field === 2) values = Float32Array.from(readNumbers(reader.bytes(), 5, r => r.float()))
    else if (field === 3) values = int32sIfPossible(readNumbers(reader.bytes(), 0, readInt64))
    else return false
    return true
  })
  return values
}

function readTexts(bytes: Uint8Array): string[] {
  const texts: string[] = []
  eachMessage(bytes, 1, text => texts.push(utf8.decode(text)))
  return texts
}

/** Numbers, packed into one field or each in a field of its own. */
function readNumbers<T>(bytes: Uint8Array, plainWire: number, read: (reader: protobuf.Reader) => T): T[] {
  const numbers: T[] = []
  eachField(bytes, (field, reader, wire) => {
    if (field !== 1) return false
    if (wire === plainWire) numbers.push(read(reader))
    else for (const end = reader.uint32() + reader.pos; reader.pos < end;) numbers.push(read(reader))
    return true
  })
  return numbers
}

/** A varint of 64 bits. protobufjs gives it as two halves or, without the library `long`, as an inexact number. */
function readInt64(reader: protobuf.Reader): bigint {
  let value = 0n
  for (let shift = 0n; ; shift += 7n) {
    const byte = reader.buf[reader.pos++]
    if (byte === undefined || shift > 63n) throw new Error('an int64 does not end')
    value |= BigInt(byte & 0x7f) << shift
    if (byte < 0x80) return BigInt.asIntN(64, value)
  }
}

const int32sIfPossible = (numbers: readonly bigint[]): Int32Array | readonly bigint[] =>
  numbers.every(n => BigInt.asIntN(32, n) === n) ? Int32Array.from(numbers, Number) : numbers

/** Calls `visit` with the content of each field `number`, which is a message or bytes; skips all other fields. */
function eachMessage(bytes: Uint8Array, number: number, visit: (content: Uint8Array) => void): void {
  eachField(bytes, (field, reader) => {
    if (field !== number) return false
    visit(reader.bytes())
    return true
  })
}

/** Calls `visit` at each field; it returns whether it has read the field, which is skipped otherwise. */
function eachField(bytes: Uint8Array, visit: (field: number, reader: protobuf.Reader, wire: number) => boolean): void {
  const reader = new protobuf.Reader(bytes)
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (!visit(tag >>> 3, reader, tag & 7)) reader.skipType(tag & 7)
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
