import { FileError } from '../../base/errors.js'
import { formatBytes, formatCount } from '../../base/format.js'
import { decodeUtf8, readExactly } from '../byte-source.js'
import type { ByteSource } from '../byte-source.js'
import { nameProblem, quote } from '../format.js'

// The part of msgpack (github.com/msgpack/msgpack, spec.md) that flax.serialization writes. Numbers are big endian.
// NumPy arrays are extension 1 and NumPy scalars extension 3; both hold msgpack again: [shape, dtype's name, bytes].

/** Our own limits, far above any real checkpoint: a file of nothing but tiny values would take gigabytes of memory. */
export const msgpackLimits = {
  values: 1_000_000,
  depth: 100,
  textBytes: 2 ** 20,
  allTextBytes: 64 * 2 ** 20,
  rank: 32,
} as const

const windowBytes = 64 * 2 ** 10
const copyAgain = 'the file is broken, copy or download it again'

/** A NumPy array or scalar in the file. Its `length` bytes at `offset` are not read yet. */
export class StoredArray {
  constructor(
    readonly dtype: string,
    readonly shape: readonly number[],
    readonly offset: number,
    readonly length: number,
  ) {}
}

export type MsgpackMap = ReadonlyMap<string, MsgpackValue>
export type MsgpackValue =
  null | boolean | number | bigint | string | readonly MsgpackValue[] | MsgpackMap | StoredArray

export const isMap = (value: MsgpackValue | undefined): value is MsgpackMap => value instanceof Map

/**
 * Reads the structure of a whole file, which is a map, without the arrays' bytes, through a window of fixed size.
 * Throws a FileError that names the file and the key for broken data, duplicate or non-text keys, and values above a
 * limit.
 */
export async function readMsgpack(source: ByteSource): Promise<MsgpackMap> {
  return new MsgpackReader(source).whole()
}

class MsgpackReader {
  private position = 0
  private window: DataView = new DataView(new ArrayBuffer(0))
  private windowBegin = 0
  private values = 0
  private textBytes = 0
  /** The keys that lead to the value being read. */
  private readonly keys: string[] = []

  private readonly path: string
  private readonly fileBytes: number

  constructor(private readonly source: ByteSource) {
    this.path = source.path
    this.fileBytes = source.size
  }

  async whole(): Promise<MsgpackMap> {
    if (this.fileBytes === 0) throw new FileError(`${this.path}: the file is empty: copy or download it again`)
    const value = await this.value()
    if (!isMap(value)) throw new FileError(`${this.path}: this is no T5X checkpoint, which begins with a msgpack map`)
    if (this.position !== this.fileBytes)
      throw this.error(`${formatCount(this.fileBytes - this.position)} bytes follow its end: ${copyAgain}`)
    return value
  }

  private async value(): Promise<MsgpackValue> {
    if (++this.values > msgpackLimits.values)
      throw this.error(`it has more than ${formatCount(msgpackLimits.values)} values: this is not an honest checkpoint`)
    const code = await this.uint(1)
    if (code < 0x80) return code
    if (code < 0x90) return this.map(code & 0x0f)
    if (code < 0xa0) return this.list(code & 0x0f)
    if (code < 0xc0) return this.text(code & 0x1f)
    if (code >= 0xe0) return code - 0x100
    switch (code) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.extension(await this.uint(1 << (code - 0xc7)))
      case 0xca:
        return (await this.bytes(4)).getFloat32(0)
      case 0xcb:
        return (await this.bytes(8)).getFloat64(0)
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.uint(1 << (code - 0xcc))
      case 0xcf:
        return exact((await this.bytes(8)).getBigUint64(0))
      case 0xd0:
        return (await this.bytes(1)).getInt8(0)
      case 0xd1:
        return (await this.bytes(2)).getInt16(0)
      case 0xd2:
        return (await this.bytes(4)).getInt32(0)
      case 0xd3:
        return exact((await this.bytes(8)).getBigInt64(0))
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.extension(1 << (code - 0xd4))
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.text(await this.uint(1 << (code - 0xd9)))
      case 0xdc:
      case 0xdd:
        return this.list(await this.uint(2 << (code - 0xdc)))
      case 0xde:
      case 0xdf:
        return this.map(await this.uint(2 << (code - 0xde)))
      default:
        throw this.error(
          `byte ${formatCount(this.position)} is 0x${code.toString(16)}, which begins no value of a T5X checkpoint: ${copyAgain}`,
        )
    }
  }

  private async map(count: number): Promise<MsgpackMap> {
    if (this.keys.length >= msgpackLimits.depth)
      throw this.error(`nested more than ${msgpackLimits.depth} deep: this is not an honest checkpoint`)
    const entries = new Map<string, MsgpackValue>()
    for (let i = 0; i < count; i++) {
      const key = await this.value()
      if (typeof key !== 'string') throw this.error(`a key is not text: ${copyAgain}`)
      const problem = nameProblem(key)
      if (problem !== undefined) throw this.error(`the key ${quote(key)}: ${problem}`)
      if (entries.has(key)) throw this.error(`the key ${quote(key)} appears twice: the file is broken or malicious`)
      this.keys.push(key)
      entries.set(key, await this.value())
      this.keys.pop()
    }
    return entries
  }

  /** Reads a list of numbers, such as a shape. Other lists are refused. */
  private async list(count: number): Promise<readonly MsgpackValue[]> {
    if (count > msgpackLimits.rank)
      throw this.error(
        `a list of ${formatCount(count)}, and only shapes are lists, of at most ${msgpackLimits.rank}: ${copyAgain}`,
      )
    const items: number[] = []
    for (let i = 0; i < count; i++) {
      const item = await this.value()
      if (typeof item !== 'number' || !Number.isSafeInteger(item) || item < 0)
        throw this.error(`a list holds what is not a size: ${copyAgain}`)
      items.push(item)
    }
    return items
  }

  private async text(length: number): Promise<string> {
    this.textBytes += length
    if (length > msgpackLimits.textBytes || this.textBytes > msgpackLimits.allTextBytes)
      throw this.error(`it has ${formatBytes(this.textBytes)} of text: this is not an honest checkpoint`)
    const { buffer, byteOffset } = await this.bytes(length)
    return decodeUtf8(this.path, new Uint8Array(buffer, byteOffset, length), `a text in ${this.place()}`)
  }

  private async extension(length: number): Promise<StoredArray> {
    const type = (await this.bytes(1)).getInt8(0)
    const end = this.position + length
    if (type !== 1 && type !== 3)
      throw this.error(
        `extension ${type}, where T5X has arrays (1) and numbers (3) only: ${type === 2 ? 'complex numbers are not supported' : copyAgain}`,
      )
    if (end > this.fileBytes) throw this.cutOff('an array')
    const broken = (): FileError => this.error(`an array is not [shape, dtype, bytes]: ${copyAgain}`)
    if ((await this.uint(1)) !== 0x93) throw broken()
    const shape = await this.value()
    const dtype = await this.value()
    const code = await this.uint(1)
    if (!(shape instanceof Array) || typeof dtype !== 'string' || code < 0xc4 || code > 0xc6) throw broken()
    const bytes = await this.uint(1 << (code - 0xc4))
    const offset = this.position
    if (offset + bytes !== end) throw broken()
    this.position = end
    return new StoredArray(dtype, shape as readonly number[], offset, bytes)
  }

  private async uint(width: number): Promise<number> {
    const view = await this.bytes(width)
    if (width === 1) return view.getUint8(0)
    return width === 2 ? view.getUint16(0) : view.getUint32(0)
  }

  /** A view that begins with the next bytes and may be longer. Valid until the next call. */
  private async bytes(length: number): Promise<DataView> {
    const at = this.position
    if (at + length > this.fileBytes) throw this.cutOff('a value')
    if (at < this.windowBegin || at + length > this.windowBegin + this.window.byteLength) {
      const bytes = await readExactly(
        this.source,
        at,
        Math.min(Math.max(length, windowBytes), this.fileBytes - at),
        'its structure',
      )
      this.window = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      this.windowBegin = at
    }
    this.position += length
    return new DataView(this.window.buffer, this.window.byteOffset + at - this.windowBegin)
  }

  private place(): string {
    return this.keys.length === 0 ? 'the structure' : quote(this.keys.join('/'))
  }

  private error(message: string): FileError {
    return new FileError(`${this.path}: in ${this.place()}: ${message}`)
  }

  private cutOff(what: string): FileError {
    return this.error(`the file ends within ${what}: it was cut off, copy or download it again`)
  }
}

const exact = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value)
