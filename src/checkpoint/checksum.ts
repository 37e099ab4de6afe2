import { crc32 } from 'node:zlib'
import { FileError } from '../base/errors.js'
import { bytesOf } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { quote, viewOf } from './format.js'
import type { CheckpointReader, TensorSource } from './format.js'

/** The checksums of a file's tensors, by name, each as 8 hexadecimal digits. */
export type Checksums = Readonly<Record<string, string>>

/** CRC-32 of a text, as in zip files. */
export const textChecksum = (text: string): string => hex(crc32(text))

/** CRC-32 of a tensor's dtype, shape and bytes. It takes about 0.5 s for a gigabyte. */
export const tensorChecksum = (tensor: HostTensor): string =>
  hex(crc32(bytesOf(tensor), crc32(`${tensor.dtype}[${tensor.shape.join()}]`)))

const hex = (checksum: number): string => checksum.toString(16).padStart(8, '0')

/** The same source, and the checksums of the tensors that it has delivered so far. */
export function withChecksums({ infos, entries }: TensorSource): { source: TensorSource; checksums: Checksums } {
  const checksums: Record<string, string> = {}
  async function* summed(): AsyncGenerator<readonly [string, HostTensor]> {
    for await (const [name, tensor] of entries) {
      checksums[name] = tensorChecksum(tensor)
      yield [name, tensor]
    }
  }
  return { source: { infos, entries: summed() }, checksums }
}

/** The same reader, but `read` throws a FileError for a tensor whose checksum differs. Each tensor is checked once. */
export function checkedReader(reader: CheckpointReader, checksums: Checksums): CheckpointReader {
  const right = new Set<string>()
  return viewOf(reader, {
    async read(name) {
      const tensor = await reader.read(name)
      if (right.has(name)) return tensor
      const checksum = tensorChecksum(tensor)
      if (!Object.hasOwn(checksums, name) || checksums[name] !== checksum)
        throw new FileError(
          `${reader.path}: tensor ${quote(name)} is damaged: its checksum is ${checksum}, and ${checksums[name] ?? 'none'} was written`,
        )
      right.add(name)
      return tensor
    },
  })
}

/** Reads every tensor of a reader and keeps none: a `checkedReader` throws if one is damaged. */
export async function verifyTensors(reader: CheckpointReader): Promise<void> {
  for (const { name } of reader.list()) await reader.read(name)
}
