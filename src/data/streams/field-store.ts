import type { Fields, FieldValue } from '../preprocessor.js'
import type { Dataset } from '../dataset.js'
import { FlatSequences } from './flat-sequences.js'
import { hashSequences } from './sequences.js'
import type { Sequences } from './sequences.js'

/** A field of stored examples, and whether it is token ids or a text. */
export interface StoredField {
  readonly name: string
  readonly kind: 'tokens' | 'text'
}

/** The fields of an example that can be stored; undefined if one is neither token ids nor a text. */
export function storedFields(example: Fields): StoredField[] | undefined {
  const fields: StoredField[] = []
  for (const [name, value] of Object.entries(example)) {
    if (typeof value === 'string') fields.push({ name, kind: 'text' })
    else if (value instanceof Int32Array) fields.push({ name, kind: 'tokens' })
    else return undefined
  }
  return fields
}

/** An example as sequences, one for each field; undefined if it has other fields. */
export function toSequences(example: Fields, fields: readonly StoredField[]): Int32Array[] | undefined {
  if (Object.keys(example).length !== fields.length) return undefined
  const sequences: Int32Array[] = []
  for (const { name, kind } of fields) {
    const value = example[name]
    if (kind === 'text' && typeof value === 'string') sequences.push(packText(value))
    else if (kind === 'tokens' && value instanceof Int32Array) sequences.push(value)
    else return undefined
  }
  return sequences
}

/** A dataset, and the hash of all its examples if they are stored token ids. */
export interface StoredFields extends Dataset<Fields> {
  hash?(): number | undefined
}

/** Examples whose fields are stored as sequences. */
export class FieldStore implements StoredFields {
  constructor(
    readonly fields: readonly StoredField[],
    readonly sequences: Sequences,
  ) {}

  get length(): number {
    return this.sequences.length
  }

  hash(): number | undefined {
    return this.fields.every(({ kind }) => kind === 'tokens') ? hashSequences(this.sequences) : undefined
  }

  /** An example. Its tokens may be views: do not change them. */
  get(index: number): Fields {
    const sequences = this.sequences.get(index)
    const example: { [name: string]: FieldValue } = {}
    for (const [f, { name, kind }] of this.fields.entries())
      example[name] = kind === 'text' ? unpackText(sequences[f]) : sequences[f]
    return example
  }
}

/**
 * A dataset's examples, each computed once and stored in memory, if all their fields are token ids; otherwise the
 * dataset itself, whose examples are computed whenever they are asked for.
 */
export function storeFields(dataset: Dataset<Fields>): StoredFields {
  const { length } = dataset
  if (length === 0 || length === Infinity) return dataset
  const fields = storedFields(dataset.get(0))
  if (fields === undefined || fields.some(({ kind }) => kind === 'text')) return dataset
  const sequences = new FlatSequences(fields.length)
  for (let i = 0; i < length; i++) {
    const example = toSequences(dataset.get(i), fields)
    if (example === undefined) return dataset
    sequences.add(example)
  }
  return new FieldStore(fields, sequences)
}

/** A text's length, then its UTF-16 units, two in each number: any text, lone surrogates too, comes back. */
function packText(text: string): Int32Array {
  const packed = new Int32Array(1 + Math.ceil(text.length / 2))
  packed[0] = text.length
  for (let i = 0; i < text.length; i++) packed[1 + (i >> 1)] |= text.charCodeAt(i) << (16 * (i & 1))
  return packed
}

function unpackText(packed: Int32Array): string {
  let text = ''
  for (let i = 0; i < packed[0]; i++) text += String.fromCharCode((packed[1 + (i >> 1)] >>> (16 * (i & 1))) & 0xffff)
  return text
}
