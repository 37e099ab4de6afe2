import { join } from 'node:path'
import { check, FileError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { tensorFromBytes } from '../../base/host-tensor.js'
import { readExactly } from '../byte-source.js'
import type { OpenFile } from '../byte-source.js'
import { bytesChecksum, hex } from '../checksum.js'
import { openFile } from '../files.js'
import type { CheckpointReader } from '../format.js'
import { fileBytes, pagesName, readIndex } from './apart-index.js'
import type { ApartStack } from './apart-index.js'
import { rangeChecksum } from '../range-checksum.js'
import { withExpertTensors } from './as-tensors.js'
import { rangedSource } from './ranged.js'
import { expertName, partBytes, tensorName } from './source.js'
import type { ExpertSource } from './source.js'

/** Opens `experts.bin` in a folder. `checksum` is that of the index, from checkpoint.json. */
async function openApart(folder: string, checksum: string): Promise<{ stacks: ApartStack[]; file: OpenFile }> {
  const stacks = await readIndex(folder, checksum)
  const file = await openFile(join(folder, pagesName))
  const expected = fileBytes(stacks)
  if (file.size === expected) return { stacks, file }
  await file.close()
  throw new FileError(
    `${file.path}: the file has ${formatCount(file.size)} bytes instead of ${formatCount(expected)}: it was cut off or replaced, convert the model again`,
  )
}

/**
 * The experts in an expert-major file. A page is one read. It is compared with its checksums when it is read for the
 * first time, which takes about 0.5 s for a gigabyte.
 */
export async function apartExperts(folder: string, checksum: string): Promise<ExpertSource> {
  const { stacks, file } = await openApart(folder, checksum)
  const right = stacks.map(({ numExperts }) => new Uint8Array(numExperts))
  return rangedSource({
    name: folder,
    stacks,
    files: [file],
    rangesOf: (stack, expert) => {
      const { begin, stride, bytes } = stacks[stack]
      return [{ file, begin: begin + expert * stride, offset: 0, bytes }]
    },
    verify: (stack, expert, page) => {
      if (right[stack][expert] === 1) return
      for (const [i, part] of stacks[stack].parts.entries())
        checkPart(file.path, stacks[stack], expert, i, page.subarray(part.offset, part.offset + partBytes(part)))
      right[stack][expert] = 1
    },
  })
}

/** Throws a FileError unless the bytes of a part have the checksum that the index lists. */
const checkPart = (path: string, stack: ApartStack, expert: number, part: number, bytes: Uint8Array): void =>
  requireChecksum(path, stack, expert, part, bytesChecksum(bytes))

function requireChecksum(path: string, stack: ApartStack, expert: number, part: number, checksum: string): void {
  const expected = stack.checksums[expert].slice(8 * part, 8 * part + 8)
  if (checksum !== expected)
    throw new FileError(
      `${path}: ${expertName(stack, expert)} is damaged: the checksum of ${tensorName(stack.parts[part])} is ${checksum}, and ${expected} was written: copy the file or convert the model again`,
    )
}

/** The parameters of a checkpoint whose experts lie apart, as one reader: `dense` has all other tensors. */
export async function withApartExperts(
  dense: CheckpointReader,
  folder: string,
  checksum: string,
): Promise<CheckpointReader> {
  const { stacks, file } = await openApart(folder, checksum)
  const placeOf = (stack: ApartStack, index: number, expert: number): number =>
    stack.begin + expert * stack.stride + stack.parts[index].offset
  return withExpertTensors(dense, {
    stacks,
    read: async (stack, index, expert) => {
      const part = stack.parts[index]
      const title = expertName(stack, expert)
      check(expert >= 0 && expert < stack.numExperts, () => `${title} does not exist: there are ${stack.numExperts}`)
      const bytes = await readExactly(file, placeOf(stack, index, expert), partBytes(part), title)
      checkPart(file.path, stack, expert, index, bytes)
      return tensorFromBytes(part.dtype, part.shape, bytes)
    },
    locate: (stack, index, expert) => {
      const { dtype, shape } = stack.parts[index]
      const range = { offset: placeOf(stack, index, expert), length: partBytes(stack.parts[index]) }
      const verify = async (): Promise<void> =>
        requireChecksum(
          file.path,
          stack,
          expert,
          index,
          hex(await rangeChecksum({ path: file.path, ...range, crc: 0 })),
        )
      return file.file && { dtype, shape, file: file.file, ...range, verify }
    },
    close: () => file.close(),
  })
}
