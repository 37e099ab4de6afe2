import { createHash } from 'node:crypto'
import { endianness } from 'node:os'
import { libraryVersion } from '../../base/version.js'
import { systemAdvice } from '../../base/system-errors.js'
import { isBuiltIn } from '../../text/from-json.js'
import type { Dataset } from '../dataset.js'
import { LongWork, noticeWork } from '../long-work.js'
import type { Fields } from '../preprocessor.js'
import { preprocessorKey } from '../preprocessors/seqio/map-preprocessor.js'
import { FieldStore, storedFields, toSequences } from '../streams/field-store.js'
import type { StoredField } from '../streams/field-store.js'
import { FlatSequences } from '../streams/flat-sequences.js'
import { contentHash } from './content-hash.js'
import { encodeAhead } from './encode-ahead.js'
import type { Encoding } from './encoding.js'
import { ReadableSequences } from './readable-sequences.js'
import { beginEntry, CacheFailure, noticeNoCache, openEntry, removeEntry } from './token-cache.js'
import type { openTokenFile } from './token-file.js'

/** Stored examples, and whether they depend on the lengths of a row. */
export interface Stored {
  readonly examples: FieldStore
  readonly usesLengths: boolean
}

export interface StoreOptions {
  /**
   * Data that takes less than this many seconds to encode, as its first examples tell, is kept in memory only. Finding
   * it in the cache would take a tenth of that: its content is hashed, and compared with checksums.
   */
  readonly leastSeconds?: number
  /**
   * Data that takes longer than this is encoded in worker threads, which take half a second to start. (The estimate is
   * two to three times too high, because the code of the first examples is not compiled yet.)
   */
  readonly parallelSeconds?: number
}

/**
 * The revision of what this library's preprocessors and vocabularies make of a text: raise it with every change of
 * that. It is part of an entry's name, so that data encoded by older rules is never found.
 */
const ENCODING_REVISION = 2

const PROBE_SECONDS = 0.05
/** So many examples of an entry that is found are encoded again, and compared. */
const COMPARED = 16

/**
 * Encodes all examples once. The result is in memory, or, of data that takes long, in a file of the cache, which later
 * runs find by the content of the examples, the preprocessors, the vocabularies and the version of this library.
 * Functions of a user are no part of this: they run before, and what they return is part of the content. Undefined if
 * an example has fields that are neither texts nor token ids.
 */
export function storeTokens(encoding: Encoding, options: StoreOptions = {}): Stored | undefined {
  const { leastSeconds = 0.3, parallelSeconds = 10 } = options
  const { examples, usesLengths } = derive(encoding)
  const { length } = examples
  const fields = length === 0 || length === Infinity ? undefined : storedFields(examples.get(0))
  if (fields === undefined) return undefined
  const memory = new FlatSequences(fields.length)
  const work = new LongWork(`encoding ${encoding.name}`, length)
  // On a busy machine, waiting says nothing about the data; and CPU time is that of all threads of this process.
  const [start, startCpu] = [performance.now(), process.cpuUsage().user]
  const seconds = (): number => Math.min((performance.now() - start) / 1e3, (process.cpuUsage().user - startCpu) / 1e6)
  const addUntil = (isEnough: () => boolean): boolean => {
    while (memory.length < length && !isEnough()) {
      const sequences = toSequences(examples.get(memory.length), fields)
      if (sequences === undefined) return false
      memory.add(sequences)
      work.at(memory.length)
    }
    return true
  }
  if (!addUntil(() => seconds() > PROBE_SECONDS)) return undefined
  const expected = memory.length === 0 ? 0 : (seconds() * length) / memory.length
  // Another program's vocabulary is a function, whose results may change.
  const isKnown = Object.values(encoding.context.features).every(({ vocabulary }) => isBuiltIn(vocabulary))
  if (expected < leastSeconds || !isKnown) {
    const isComplete = addUntil(() => false)
    work.end()
    return isComplete ? { examples: new FieldStore(fields, memory), usesLengths: usesLengths() } : undefined
  }
  const name = entryName(encoding)
  return findEntry(encoding, name, examples, fields) ?? makeEntry(encoding, name, fields, expected > parallelSeconds)
}

/** The encoded examples, and whether any that was computed so far has read the lengths of a row. */
function derive({ source, stages, context }: Encoding): { examples: Dataset<Fields>; usesLengths: () => boolean } {
  let used = false
  const { features, seeds, lengths } = context
  const watched = {
    features,
    seeds,
    get lengths() {
      used = true
      return lengths
    },
  }
  return {
    examples: stages.reduce((data, stage) => stage.apply(data, watched), source),
    usesLengths: () => used,
  }
}

/** Names of the entries of these examples: without the lengths of a row, or with them. */
interface EntryName {
  readonly plain: string
  readonly withLengths: string
}

function entryName({ name, source, stages, context: { features, lengths } }: Encoding): EntryName {
  const sides = Object.entries(features).map(([side, { vocabulary, addEos = true }]) => [
    side,
    addEos,
    vocabulary.toJSON(),
  ])
  const hash = createHash('sha256')
    .update(contentHash(source, name))
    .update(JSON.stringify([libraryVersion, endianness(), stages.map(preprocessorKey), sides]))
  const digest = (lengthsOrNot: unknown): string =>
    `r${ENCODING_REVISION}-${hash.copy().update(JSON.stringify(lengthsOrNot)).digest('hex').slice(0, 40)}`
  return { plain: digest(null), withLengths: digest([lengths]) }
}

/** The entry in the cache, if it is whole and its examples are those that are encoded now. */
function findEntry(
  { name }: Encoding,
  names: EntryName,
  examples: Dataset<Fields>,
  fields: readonly StoredField[],
): Stored | undefined {
  for (const entry of [names.plain, names.withLengths]) {
    const opened = openEntry(entry)
    if (opened === undefined) continue
    const difference = differenceOf(opened, examples, fields)
    if (difference === undefined) return { examples: storedIn(opened, examples, name), usesLengths: opened.usesLengths }
    opened.sequences.close()
    noticeWork(`${name}: the encoded data in the cache ${difference}; it is made again`)
    removeEntry(entry)
  }
  return undefined
}

/** The examples of an entry; if its file cannot be read any more, those that are encoded now. */
function storedIn(
  { fields, sequences }: ReturnType<typeof openTokenFile>,
  examples: Dataset<Fields>,
  name: string,
): FieldStore {
  const encode = (index: number): Int32Array[] => {
    const encoded = toSequences(examples.get(index), fields)
    if (encoded === undefined)
      throw new RangeError(`${name}: example ${index} has other fields than when it was stored`)
    return encoded
  }
  return new FieldStore(fields, new ReadableSequences(sequences, encode, name))
}

/** Why an entry's examples are not those that are encoded now, as some tell; undefined if they are. */
function differenceOf(
  opened: ReturnType<typeof openTokenFile>,
  examples: Dataset<Fields>,
  fields: readonly StoredField[],
): string | undefined {
  const { length } = examples
  // The functions of this library may differ from those that made the entry, although the version is the same.
  const byOtherCode = 'was made by other code'
  if (opened.sequences.length !== length || JSON.stringify(opened.fields) !== JSON.stringify(fields)) return byOtherCode
  const count = Math.min(COMPARED, length)
  for (let k = 0; k < count; k++) {
    const index = Math.floor((k * length) / count)
    const now = toSequences(examples.get(index), fields)
    let then: Int32Array[]
    try {
      then = opened.sequences.get(index)
    } catch (error) {
      return `cannot be read (${systemAdvice(error as Error)})`
    }
    if (now?.every((ids, f) => ids.length === then[f].length && ids.every((id, i) => id === then[f][i])) !== true)
      return byOtherCode
  }
  return undefined
}

/** Encodes all examples into a new entry, or into memory if the cache cannot be written. */
function makeEntry(
  encoding: Encoding,
  names: EntryName,
  fields: readonly StoredField[],
  parallel: boolean,
): Stored | undefined {
  let entry: ReturnType<typeof beginEntry> | undefined
  try {
    entry = beginEntry()
    const { usesLengths, complete } = encodeAll(encoding, fields, parallel, entry)
    if (!complete) {
      entry.abandon()
      return undefined
    }
    const opened = entry.finish(usesLengths ? names.withLengths : names.plain, { fields: [...fields], usesLengths })
    return { examples: storedIn(opened, derive(encoding).examples, encoding.name), usesLengths }
  } catch (error) {
    entry?.abandon()
    if (!(error instanceof CacheFailure)) throw error
    noticeNoCache(error)
    const memory = new FlatSequences(fields.length)
    const { usesLengths, complete } = encodeAll(encoding, fields, parallel, memory)
    return complete ? { examples: new FieldStore(fields, memory), usesLengths } : undefined
  }
}

/** Encodes all examples in order. `complete` is false if one has other fields. */
function encodeAll(
  encoding: Encoding,
  fields: readonly StoredField[],
  parallel: boolean,
  to: { add(example: readonly Int32Array[]): void },
): { usesLengths: boolean; complete: boolean } {
  const work = new LongWork(`encoding ${encoding.name}`, encoding.source.length)
  const ahead = parallel ? encodeAhead(encoding) : undefined
  const { examples, usesLengths } = derive(ahead === undefined ? encoding : { ...encoding, context: ahead.context })
  try {
    for (let i = 0; i < examples.length; i++) {
      ahead?.before(i)
      const sequences = toSequences(examples.get(i), fields)
      if (sequences === undefined) return { usesLengths: false, complete: false }
      to.add(sequences)
      work.at(i)
    }
  } finally {
    ahead?.stop()
    work.end()
  }
  return { usesLengths: usesLengths(), complete: true }
}
