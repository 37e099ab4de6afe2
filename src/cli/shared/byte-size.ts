import { InvalidArgumentError } from 'commander'
import { parseBytes } from '../../base/format.js'

/** Reads an option that is a size of memory, such as 4GB (4e9 bytes) or 512MiB (2^29 bytes). */
export function byteSize(text: string): number {
  const bytes = parseBytes(text)
  if (bytes === undefined) throw new InvalidArgumentError('expected a size with its unit, such as 4GB or 512MiB')
  return bytes
}
