import { InvalidArgumentError } from 'commander'

/** Units of memory sizes, by their names in lower case. */
const units: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

/** Reads an option that is a size of memory, such as 4GB (4e9 bytes) or 512MiB (2^29 bytes). */
export function byteSize(text: string): number {
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?b)\s*$/i.exec(text) ?? []
  const bytes = Math.floor(Number(number) * (units[unit?.toLowerCase()] ?? NaN))
  if (!Number.isSafeInteger(bytes) || bytes === 0)
    throw new InvalidArgumentError('expected a size with its unit, such as 4GB or 512MiB')
  return bytes
}
