/**
 * The index of an expert-major file, `experts.json`. In `experts.bin` each stack has a region, in which the page of
 * expert `i` begins at `begin + i * stride`: its kernels and scales as `parts` says, padded with zeros to a multiple of
 * 4 KiB.
 */
import { join } from 'node:path'
import * as z from 'zod'
import { dtypes } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import { FileError } from '../../base/errors.js'
import { textChecksum } from '../checksum.js'
import { readSmallText } from '../files.js'
import { parseJson } from '../json.js'
import { partBytes, PART_ALIGNMENT } from './source.js'
import type { ExpertStack } from './source.js'

export const indexName = 'experts.json'
export const pagesName = 'experts.bin'

/** Pages begin at multiples of this, which direct reads of a disk need. */
const PAGE_ALIGNMENT = 4096

/** The index of 2,048 experts in 30 layers has 3 MB. */
const maxIndexBytes = 256 * 2 ** 20

const count = z.int().min(0)
const partSchema = z.strictObject({
  parameter: z.string(),
  kind: z.enum(['kernel', 'values', 'scales']),
  dtype: z.enum(Object.keys(dtypes) as DType[]),
  shape: z.array(count).max(8),
  isTransposed: z.literal(false),
  offset: count,
})
const stackSchema = z.strictObject({
  path: z.string(),
  numExperts: z.int().min(1),
  bytes: z.int().min(1),
  begin: count,
  stride: z.int().min(1),
  parts: z.array(partSchema).min(1),
  /** For each expert, the CRC-32 of each part's bytes, 8 hexadecimal digits each. */
  checksums: z.array(z.string().regex(/^([0-9a-f]{8})+$/)),
})
const indexSchema = z.strictObject({
  format: z.literal('switchyard-experts'),
  version: z.literal(1),
  stacks: z.array(stackSchema),
})

/** A stack in an expert-major file. */
export type ApartStack = ExpertStack & Readonly<Pick<z.infer<typeof stackSchema>, 'begin' | 'stride' | 'checksums'>>

/** The places of the stacks in the file, one after the other. */
export function placeStacks(stacks: readonly ExpertStack[]): Omit<ApartStack, 'checksums'>[] {
  let end = 0
  return stacks.map(stack => {
    const begin = end
    const stride = Math.ceil(stack.bytes / PAGE_ALIGNMENT) * PAGE_ALIGNMENT
    end += stride * stack.numExperts
    return { ...stack, begin, stride }
  })
}

/** The size of a file with these stacks. */
export const fileBytes = (stacks: readonly Omit<ApartStack, 'checksums'>[]): number =>
  stacks.reduce((sum, { stride, numExperts }) => sum + stride * numExperts, 0)

/** The text of experts.json. */
export const indexText = (stacks: readonly ApartStack[]): string =>
  `${JSON.stringify({ format: 'switchyard-experts', version: 1, stacks })}\n`

/**
 * Reads experts.json in a folder and checks it against the checksum that checkpoint.json holds of it. Throws a
 * FileError that says what is wrong.
 */
export async function readIndex(folder: string, checksum: string): Promise<ApartStack[]> {
  const path = join(folder, indexName)
  const text = await readSmallText(path, maxIndexBytes)
  const again = 'convert the model again'
  if (textChecksum(text) !== checksum)
    throw new FileError(`${path}: the file is damaged or was edited: it does not match its checksum; ${again}`)
  const value = parseJson(text, message => new FileError(`${path}: this is not JSON, ${message}; ${again}`))
  const parsed = indexSchema.safeParse(value)
  if (!parsed.success)
    throw new FileError(`${path}: this is not what Switchyard writes; ${again}\n${z.prettifyError(parsed.error)}`)
  const { stacks } = parsed.data
  if (!placesAreRight(stacks))
    throw new FileError(`${path}: the places of pages or of their parts overlap or leave the file; ${again}`)
  return stacks
}

function placesAreRight(stacks: readonly ApartStack[]): boolean {
  const placed = placeStacks(stacks)
  return stacks.every(({ begin, stride, bytes, parts, numExperts, checksums }, i) => {
    let end = 0
    const inOrder = parts.every(part => {
      const fits = part.offset % PART_ALIGNMENT === 0 && part.offset >= end
      end = part.offset + partBytes(part)
      return fits
    })
    const listed = checksums.length === numExperts && checksums.every(text => text.length === 8 * parts.length)
    return inOrder && end === bytes && listed && begin === placed[i].begin && stride === placed[i].stride
  })
}
