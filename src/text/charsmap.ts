import { ConfigError } from '../base/errors.js'

/**
 * The longest allowed replacement; the longest of nmt_nfkc is 33 bytes. Without a limit, a malicious map could let a
 * short text fill the memory.
 */
const MAX_REPLACEMENT_BYTES = 256
/**
 * The units of a double array (a trie in one array) come in blocks of this size: `base ^ label` stays in the block of
 * `base`.
 */
const BLOCK = 256

const IS_VALUE = 0x8000_0000

/**
 * SentencePiece's precompiled character map: replacements of byte sequences (such as those of NFKC), the longest match
 * first. Its layout: the byte length of a trie (32 bits, little endian); the trie, a double array of 32-bit units as
 * the library darts-clone writes it; the replacements, each ended by a zero byte. A unit of the trie holds its label (8
 * bits), whether a key ends there (bit 8) and the distance to its children (bits 10 to 30, times 256 if bit 9 is set).
 * A child's index is `base ^ label`, and the unit at the base itself holds the offset of the replacement.
 */
export class Charsmap {
  private readonly units: Uint32Array
  private readonly replacements: Uint8Array
  /** The length in bytes of the last successful match. */
  matched = 0

  /** Checks the whole map, so that matching never reads an index out of range. */
  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const trieBytes = bytes.length < 4 ? 0 : view.getUint32(0, true)
    if (trieBytes === 0 || trieBytes % (4 * BLOCK) !== 0 || trieBytes > bytes.length - 4) {
      throw new ConfigError(
        `the character map of ${bytes.length} bytes says that its trie has ${trieBytes}: it is broken`,
      )
    }
    this.units = Uint32Array.from({ length: trieBytes / 4 }, (_, i) => view.getUint32(4 + 4 * i, true))
    this.replacements = bytes.slice(4 + trieBytes)
    this.units.forEach((unit, i) => this.checkUnit(unit, i))
  }

  /**
   * The replacement of the longest key that starts at `at`, and its length in `matched`; undefined if there is none.
   */
  match(input: Uint8Array, at: number): Uint8Array | undefined {
    const { units } = this
    let base = childBase(units[0], 0)
    let found = -1
    for (let i = at; i < input.length; i++) {
      const index = base ^ input[i]
      const unit = units[index]
      if ((unit & (IS_VALUE | 0xff)) !== input[i]) break
      base = childBase(unit, index)
      if (endsKey(unit)) {
        found = valueOf(units[base])
        this.matched = i + 1 - at
      }
    }
    return found < 0 ? undefined : this.replacements.subarray(found, this.replacements.indexOf(0, found))
  }

  /** The replacement of the shortest key that the input begins with; undefined if there is none. */
  shortest(input: Uint8Array): Uint8Array | undefined {
    for (let end = 1; end <= input.length; end++) {
      const replacement = this.match(input.subarray(0, end), 0)
      if (replacement !== undefined) return replacement
    }
    return undefined
  }

  /** Whether the map has a key of printable ASCII characters only. */
  changesAscii(): boolean {
    const { units } = this
    const search = (base: number): boolean => {
      for (let byte = 0x20; byte < 0x7f; byte++) {
        const index = base ^ byte
        const unit = units[index]
        if ((unit & (IS_VALUE | 0xff)) === byte && (endsKey(unit) || search(childBase(unit, index)))) return true
      }
      return false
    }
    return search(childBase(units[0], 0))
  }

  private checkUnit(unit: number, index: number): void {
    if (isValue(unit) && index > 0) return // `match` never uses a value as a node
    const base = childBase(unit, index)
    if (base >= this.units.length)
      throw new ConfigError(
        `the character map's unit ${index} points to unit ${base} of ${this.units.length}: it is broken`,
      )
    if (!endsKey(unit)) return
    const start = valueOf(this.units[base])
    const end = start < this.replacements.length ? this.replacements.indexOf(0, start) : -1
    if (end < 0 || end - start > MAX_REPLACEMENT_BYTES) {
      throw new ConfigError(
        `the character map's replacement at ${start} of ${this.replacements.length} bytes has no end within ${MAX_REPLACEMENT_BYTES} bytes: it is broken`,
      )
    }
  }
}

const isValue = (unit: number): boolean => (unit & IS_VALUE) !== 0
const endsKey = (unit: number): boolean => (unit & 0x100) !== 0
const valueOf = (unit: number): number => unit & ~IS_VALUE
const childBase = (unit: number, index: number): number => index ^ ((unit >>> 10) << ((unit & 0x200) >>> 6))
