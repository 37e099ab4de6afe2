import { crc32 } from 'node:zlib'
import { FileError } from '../base/errors.js'
import { bytesOf } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { quote, viewOf } from './format.js'
import type { CheckpointReader, TensorEntry, TensorSource } from './format.js'
import { rangeChecksum } from './range-checksum.js'

/** The checksums of a file's tensors, by name, each as 8 hexadecimal digits. */
export type Checksums = Readonly<Record<string, string>>

/** CRC-32 of bytes, as in zip files. */
export const bytesChecksum = (bytes: Uint8Array): string => hex(crc32(bytes))

/** CRC-32 of a text in UTF-8. */
export const textChecksum = (text: string): string => hex(crc32(text))

/** CRC-32 of a tensor's dtype, shape and bytes. It takes about 0.5 s for a gigabyte. */
export const tensorChecksum = (tensor: HostTensor): string => hex(crc32(bytesOf(tensor), startOf(tensor)))

/** CRC-32 of a tensor's dtype and shape, with which that of its bytes begins. */
const startOf = ({ dtype, shape }: Pick<HostTensor, 'dtype' | 'shape'>): number => crc32(`${dtype}[${shape.join()}]`)

/** How checksums are written. */
export const hex = (checksum: number): string => checksum.toString(16).padStart(8, '0')

/** The same source, and the checksums of the tensors that it has delivered so far. */
export function withChecksums({ infos, entries }: TensorSource): { source: TensorSource; checksums: Checksums } {
  const checksums: Record<string, string> = {}
  const announced = new Map(infos.map(info => [info.name, info]))
  /** Of tensors that are delivered in parts, the checksum so far. */
  const begun = new Map<string, number>()
  async function* summed(): AsyncGenerator<TensorEntry> {
    for await (const entry of entries) {
      const [name, tensor, part] = entry
      const info = announced.get(name)
      if (part === undefined || info === undefined) checksums[name] = tensorChecksum(tensor)
      else {
        begun.set(name, crc32(bytesOf(tensor), begun.get(name) ?? startOf(info)))
        if (part === info.shape[0] - 1) checksums[name] = hex(begun.get(name)!)
      }
      yield entry
    }
  }
  return { source: { infos, entries: summed() }, checksums }
}

/**
 * The same reader, but `read` and `readSlice` throw a FileError for a tensor whose checksum differs. Each tensor is
 * checked once. A part of a tensor has no checksum of its own: `readSlice` checks the whole tensor first. If all parts
 * are read one after the other by `readPart`, the tensor is checked with the last one.
 */
export function checkedReader(reader: CheckpointReader, checksums: Checksums): CheckpointReader {
  const right = new Set<string>()
  const check = (name: string, checksum: string): void => {
    if (!Object.hasOwn(checksums, name) || checksums[name] !== checksum)
      throw new FileError(
        `${reader.path}: tensor ${quote(name)} is damaged: its checksum is ${checksum}, and ${checksums[name] ?? 'none'} was written`,
      )
    right.add(name)
  }
  const infos = new Map(reader.list().map(info => [info.name, info]))
  /** Of tensors whose parts are being read in order: how many were read, and the checksum so far. */
  const begun = new Map<string, { parts: number; crc: number }>()
  const checked = viewOf(reader, {
    async read(name) {
      const tensor = await reader.read(name)
      if (!right.has(name)) check(name, tensorChecksum(tensor))
      return tensor
    },
    readPart:
      reader.readPart &&
      (async (name, index) => {
        const part = await reader.readPart!(name, index)
        if (right.has(name)) return part
        const info = infos.get(name)!
        const { parts, crc } =
          index === 0 ? { parts: 0, crc: startOf(info) } : (begun.get(name) ?? { parts: -1, crc: 0 })
        begun.delete(name)
        if (parts !== index) return part
        const sum = crc32(bytesOf(part), crc)
        if (index === info.shape[0] - 1) check(name, hex(sum))
        else begun.set(name, { parts: index + 1, crc: sum })
        return part
      }),
    readSlice:
      reader.readSlice &&
      (async (name, ...part) => {
        if (infos.has(name) && !right.has(name)) await verifyTensors(checked, [name])
        return reader.readSlice!(name, ...part)
      }),
    trust: () => infos.forEach((_, name) => right.add(name)),
    locate:
      reader.locate &&
      (async name => {
        const bytes = await reader.locate!(name)
        if (!bytes || right.has(name)) return bytes
        const { file, offset, length } = bytes
        const verify = async (): Promise<void> =>
          check(name, hex(await rangeChecksum({ path: file.path, offset, length, crc: startOf(bytes) })))
        return { ...bytes, verify }
      }),
  })
  return checked
}

/**
 * Reads every tensor of a reader, or those of these names, and keeps none: a `checkedReader` throws if one is damaged.
 * Tensors on disk are read in pieces.
 */
export async function verifyTensors(
  reader: CheckpointReader,
  names: readonly string[] = reader.list().map(info => info.name),
): Promise<void> {
  for (const name of names) {
    const stored = await reader.locate?.(name)
    if (!stored) await reader.read(name)
    else {
      await stored.verify?.()
      await stored.file.check()
    }
  }
}
