/** CRC-32C (Castagnoli): polynomial 0x1EDC6F41, reflected 0x82F63B78, as in RFC 3720, section 12.1. */
export function crc32c(bytes: Uint8Array): number {
  const steps = crcTable()
  let crc = -1
  for (let i = 0; i < bytes.length; i++) crc = steps[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8)
  return ~crc >>> 0
}

/**
 * TFRecord's masked CRC: rotated right by 15 bits, plus a constant. (A CRC of data that holds CRCs is weak; the mask
 * avoids that. See tensorflow/core/lib/hash/crc32c.h.)
 */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes)
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

let table: Int32Array | undefined

const crcTable = (): Int32Array =>
  (table ??= Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    return crc
  }))
