/**
 * A shared library for Linux that ends the process that loads it: an ELF file whose first instruction is one that no
 * processor has. Undefined for another system.
 */
export function brokenLibrary(): Uint8Array | undefined {
  const machine = { x64: 62, arm64: 183 }[process.arch as string]
  if (process.platform !== 'linux' || machine === undefined) return undefined
  const [segments, dynamic, symbols, code, size] = [64, 232, 328, 352, 360]
  const file = Buffer.alloc(size)
  file.write('\x7fELF\x02\x01\x01', 'latin1')
  // The header: a shared object, where its segments are described, and how many.
  file.writeUInt16LE(3, 16)
  file.writeUInt16LE(machine, 18)
  file.writeUInt32LE(1, 20)
  file.writeBigUInt64LE(BigInt(segments), 32)
  file.writeUInt16LE(64, 52)
  file.writeUInt16LE(56, 54)
  file.writeUInt16LE(3, 56)
  const segment = (i: number, type: number, flags: number, from: number, length: number): void => {
    const at = segments + i * 56
    file.writeUInt32LE(type, at)
    file.writeUInt32LE(flags, at + 4)
    for (const field of [8, 16, 24]) file.writeBigUInt64LE(BigInt(from), at + field)
    for (const field of [32, 40]) file.writeBigUInt64LE(BigInt(length), at + field)
    file.writeBigUInt64LE(8n, at + 48)
  }
  segment(0, 1, 7, 0, size) // PT_LOAD
  segment(1, 2, 6, dynamic, 96) // PT_DYNAMIC
  segment(2, 0x6474e551, 6, 0, 0) // PT_GNU_STACK: the stack is not executable
  // DT_INIT, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_SYMENT, DT_NULL
  const entries = [12, code, 5, symbols, 6, symbols, 10, 1, 11, 24, 0, 0]
  entries.forEach((value, i) => file.writeBigUInt64LE(BigInt(value), dynamic + i * 8))
  // ud2; on ARM, zeros are undefined.
  if (machine === 62) file.writeUInt16LE(0x0b0f, code)
  return file
}
