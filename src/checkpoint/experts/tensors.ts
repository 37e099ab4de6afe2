import { FileError } from '../../base/errors.js'
import { openFile } from '../files.js'
import { quote } from '../format.js'
import type { CheckpointReader } from '../format.js'
import { partRanges, rangedSource } from './ranged.js'
import type { PageRange, RangeFile } from './ranged.js'
import { expertName, partBytes } from './source.js'
import type { ExpertPart, ExpertSource, ExpertStack } from './source.js'

export interface ExpertTensors {
  /** For messages: the folder or repository. */
  readonly name: string
  readonly stacks: readonly ExpertStack[]
  /** The files' tensors. The source does not close it. */
  readonly reader: CheckpointReader
  /** The tensor that holds a part of an expert. */
  tensorOf(part: ExpertPart, expert: number): string
  /** Opens a file at the path of a `TensorRange`. Default: a file on disk. */
  open?(path: string): Promise<RangeFile>
}

/**
 * A source of experts whose kernels are tensors of their own, as in Hugging Face's files. Each file is opened when an
 * expert in it is first read.
 */
export function tensorExperts({ name, stacks, reader, tensorOf, open = openFile }: ExpertTensors): ExpertSource {
  const opened = new Map<string, Promise<RangeFile>>()
  const files: RangeFile[] = []
  const fileAt = (path: string): Promise<RangeFile> => {
    const known = opened.get(path)
    if (known) return known
    const file = open(path)
    opened.set(path, file)
    file.then(
      f => files.push(f),
      () => opened.delete(path),
    )
    return file
  }

  const placeOf = async (part: ExpertPart, expert: number): Promise<Pick<PageRange, 'file' | 'begin'>> => {
    const tensor = tensorOf(part, expert)
    const range = await reader.rangeOf!(tensor)
    if (range === null || range.bytes !== partBytes(part))
      throw new FileError(
        `${name}: tensor ${quote(tensor)} is not stored in one piece of ${partBytes(part)} bytes, so that it cannot be read alone: save the model again as safetensors`,
      )
    return { file: await fileAt(range.path), begin: range.begin }
  }
  /** The ranges of pages that were read before: finding them in a torch file takes a read each. */
  const known = new Map<string, PageRange[]>()
  return rangedSource({
    name,
    stacks,
    files,
    rangesOf: async (index, expert) => {
      const stack = stacks[index]
      const key = expertName(stack, expert)
      let ranges = known.get(key)
      if (!ranges) {
        const places = await Promise.all(stack.parts.map(part => placeOf(part, expert)))
        ranges = partRanges(stack, part => places[part])
        known.set(key, ranges)
      }
      return ranges
    },
  })
}
