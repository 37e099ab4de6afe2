import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import * as z from 'zod'
import { Lru } from '../../base/lru.js'
import { lengthsIn, startOf } from '../streams/sequences.js'
import type { Sequences, SequencesInFile } from '../streams/sequences.js'

/**
 * A file of token sequences, in this order: all token ids (int32); where each sequence ends, counted in ids (float64);
 * a description as JSON; 16 bytes: its length, its checksum and the mark. Numbers are in the machine's byte order,
 * which is part of an entry's name.
 */
const MARK = 'SWTOKEN1'
const TRAILER_BYTES = 16

/** Each part of this size has a checksum. */
const PART_BYTES = 1 << 20

const description = z.strictObject({
  /** An example's fields, in the order of its sequences. */
  fields: z.array(z.strictObject({ name: z.string(), kind: z.enum(['tokens', 'text']) })).min(1),
  /** The number of sequences, and of the ids of all. */
  sequences: z.int().min(0),
  ids: z.int().min(0),
  /** Whether the examples depend on the lengths of a row. */
  usesLengths: z.boolean(),
  /** The CRC-32 of each part of the ids and ends. */
  checksums: z.array(z.int().min(0)),
})

export type TokenFileFacts = Pick<z.infer<typeof description>, 'fields' | 'usesLengths'>

/** Thrown for a file that is not what was written: cut off, changed, or another kind of file. */
export class DamagedTokens extends Error {}

/** Writes a file of token sequences, which must not exist. Only the ends are kept in memory. */
export class TokenFileWriter {
  /** Undefined when the file is closed: its number may then be that of another file. */
  private handle: number | undefined
  private readonly part = new Uint8Array(PART_BYTES)
  private used = 0
  private readonly checksums: number[] = []
  private ends = new Float64Array(1 << 10)
  private sequences = 0
  private ids = 0

  constructor(path: string) {
    this.handle = openSync(path, 'wx')
  }

  /** Appends the sequences of an example. */
  add(example: readonly Int32Array[]): void {
    for (const sequence of example) {
      this.write(bytesOf(sequence))
      this.ids += sequence.length
      if (this.sequences === this.ends.length) {
        const larger = new Float64Array(2 * this.sequences)
        larger.set(this.ends)
        this.ends = larger
      }
      this.ends[this.sequences++] = this.ids
    }
  }

  /** Completes and closes the file. */
  finish({ fields, usesLengths }: TokenFileFacts): void {
    this.write(bytesOf(this.ends.subarray(0, this.sequences)))
    if (this.used > 0) this.flush()
    const { sequences, ids, checksums } = this
    const json = Buffer.from(JSON.stringify({ fields, sequences, ids, usesLengths, checksums }))
    const trailer = Buffer.alloc(TRAILER_BYTES)
    trailer.writeUInt32LE(json.length, 0)
    trailer.writeUInt32LE(crc32(json), 4)
    trailer.write(MARK, 8, 'latin1')
    this.put(json)
    this.put(trailer)
    this.close()
  }

  /** Closes the file, complete or not. */
  close(): void {
    if (this.handle !== undefined) closeSync(this.handle)
    this.handle = undefined
  }

  private write(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      const count = Math.min(bytes.length - from, PART_BYTES - this.used)
      this.part.set(bytes.subarray(from, from + count), this.used)
      this.used += count
      from += count
      if (this.used === PART_BYTES) this.flush()
    }
  }

  private flush(): void {
    const bytes = this.part.subarray(0, this.used)
    this.checksums.push(crc32(bytes))
    this.put(bytes)
    this.used = 0
  }

  private put(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) done += writeSync(this.handle!, bytes, done)
  }
}

const BLOCK_IDS = 1 << 12
/** At most 16 MiB of blocks are kept in memory. */
const MAX_BLOCKS = 1024

/**
 * Sequences in an open file, read by positional reads. In memory are 8 bytes a sequence and the recently used blocks.
 * The file stays open until the process ends, so that it can be removed from the cache while it is read.
 */
export class TokenFile implements Sequences {
  private readonly blocks = new Lru<number, Int32Array>(MAX_BLOCKS)
  /** The block that was used last: neighbouring examples are often read in order. */
  private latest = { number: -1, block: new Int32Array(0) as Int32Array }

  constructor(readonly shared: SequencesInFile) {}

  get length(): number {
    return this.shared.ends.length / this.shared.each
  }

  lengths(index: number): number[] {
    return lengthsIn(this.shared, index)
  }

  /** Closes the file of sequences that are not used after all. */
  close(): void {
    closeSync(this.shared.handle)
  }

  get(index: number): Int32Array[] {
    const { each, ends } = this.shared
    const sequences: Int32Array[] = []
    for (let s = index * each; s < (index + 1) * each; s++) sequences.push(this.ids(startOf(ends, s), ends[s]))
    return sequences
  }

  private ids(from: number, to: number): Int32Array {
    const first = Math.floor(from / BLOCK_IDS)
    const last = Math.floor(Math.max(from, to - 1) / BLOCK_IDS)
    if (from === to) return new Int32Array(0)
    const offset = first * BLOCK_IDS
    if (first === last) return this.block(first).subarray(from - offset, to - offset)
    const ids = new Int32Array(to - from)
    fill(this.shared.handle, bytesOf(ids), 4 * from)
    return ids
  }

  private block(number: number): Int32Array {
    if (number !== this.latest.number) this.latest = { number, block: this.blocks.get(number) ?? this.read(number) }
    return this.latest.block
  }

  private read(number: number): Int32Array {
    const { handle, ends } = this.shared
    const from = number * BLOCK_IDS
    const block: Int32Array<ArrayBuffer> = new Int32Array(Math.min(BLOCK_IDS, ends[ends.length - 1] - from))
    fill(handle, bytesOf(block), 4 * from)
    this.blocks.set(number, block)
    return block
  }
}

/** Opens a file, after comparing all of it with its checksums. Throws `DamagedTokens`, or the system's error. */
export function openTokenFile(path: string): TokenFileFacts & { readonly sequences: TokenFile } {
  const handle = openSync(path, 'r')
  try {
    const { fields, usesLengths, sequences, ids, checksums } = readDescription(handle)
    const ends = new Float64Array(new SharedArrayBuffer(8 * sequences))
    const endBytes = bytesOf(ends)
    const part = new Uint8Array(PART_BYTES)
    const size = 4 * ids + endBytes.length
    for (let start = 0, number = 0; start < size; start += PART_BYTES, number++) {
      const bytes = part.subarray(0, Math.min(PART_BYTES, size - start))
      fill(handle, bytes, start)
      if (crc32(bytes) !== checksums[number]) throw new DamagedTokens('its checksum is wrong')
      const own = Math.max(0, 4 * ids - start)
      if (own < bytes.length) endBytes.set(bytes.subarray(own), Math.max(0, start - 4 * ids))
    }
    if (ends.some((end, i) => end < startOf(ends, i)) || (ends.at(-1) ?? 0) !== ids)
      throw new DamagedTokens('the ends of its sequences are not in order')
    return { fields, usesLengths, sequences: new TokenFile({ handle, ends, each: fields.length }) }
  } catch (error) {
    closeSync(handle)
    throw error
  }
}

function readDescription(handle: number): z.infer<typeof description> {
  const { size } = fstatSync(handle)
  const trailer = Buffer.alloc(TRAILER_BYTES)
  if (size < TRAILER_BYTES) throw new DamagedTokens('it is cut off')
  fill(handle, trailer, size - TRAILER_BYTES)
  if (trailer.toString('latin1', 8) !== MARK) throw new DamagedTokens('it is cut off, or no file of tokens')
  const length = trailer.readUInt32LE(0)
  if (length > size - TRAILER_BYTES) throw new DamagedTokens('its description is longer than the file')
  const json = Buffer.alloc(length)
  const end = size - TRAILER_BYTES - length
  fill(handle, json, end)
  if (crc32(json) !== trailer.readUInt32LE(4)) throw new DamagedTokens('the checksum of its description is wrong')
  const { data } = description.safeParse(JSON.parse(json.toString()))
  if (data === undefined || 4 * data.ids + 8 * data.sequences !== end || data.sequences % data.fields.length !== 0)
    throw new DamagedTokens('its description does not fit its size')
  return data
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Int32Array | Float64Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

function fill(handle: number, into: Uint8Array, position: number): void {
  for (let done = 0; done < into.length;) {
    const read = readSync(handle, into, done, into.length - done, position + done)
    if (read === 0) throw new DamagedTokens('it is cut off')
    done += read
  }
}
