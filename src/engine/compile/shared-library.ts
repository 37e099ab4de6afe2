import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import type { Koffi } from './koffi.js'

/** A library that koffi has loaded. */
type Library = ReturnType<Koffi['load']>

/** Loads a shared library into this process. Throws an Error if it cannot be loaded, or is cut off. */
export function loadLibrary(koffi: Koffi, path: string): Library {
  const { bytes, expected } = sizesOf(path)
  // The system maps such a file without an error, and ends the process when the missing part is first used.
  if (bytes < expected)
    throw new Error(`the file is cut off, it has ${bytes} bytes of at least ${expected}: install it again`)
  return koffi.load(path)
}

/** The size of a file, and the least size that its header tells of: 0 if it is not an ELF file of 64 bits. */
function sizesOf(path: string): { bytes: number; expected: number } {
  const file = openSync(path, 'r')
  try {
    const bytes = fstatSync(file).size
    const header = read(file, 0, ELF_HEADER_BYTES)
    if (
      header.length < ELF_HEADER_BYTES ||
      header.readUInt32BE(0) !== ELF ||
      header.readUInt16BE(4) !== LITTLE_ENDIAN_64
    )
      return { bytes, expected: 0 }
    const [at, each, count] = [Number(header.readBigUInt64LE(32)), header.readUInt16LE(54), header.readUInt16LE(56)]
    const segments = read(file, at, each * count)
    if (segments.length < each * count) return { bytes, expected: at + each * count }
    const ends = Array.from({ length: count }, (_, i) => {
      const segment = segments.subarray(i * each)
      return Number(segment.readBigUInt64LE(8) + segment.readBigUInt64LE(32))
    })
    return { bytes, expected: Math.max(0, ...ends) }
  } finally {
    closeSync(file)
  }
}

const ELF = 0x7f454c46
const ELF_HEADER_BYTES = 64
/** The bytes that say so in an ELF header: 64 bits, the lowest byte first. */
const LITTLE_ENDIAN_64 = 0x0201

/** Bytes of a file: fewer than asked for if it ends before. */
function read(file: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length)
  return buffer.subarray(0, readSync(file, buffer, 0, length, position))
}
