import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { FileError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { bytesOf, sizeOf, writer } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { readSmallText, withPath } from '../files.js'
import { listItems, quote } from '../format.js'
import { allocateTensor } from './allocate.js'
import { readChunk } from './chunk.js'
import type { ZarrLeaf } from './state-tree.js'
import { layoutWithoutZarray, parseZarray } from './zarr-metadata.js'
import type { ZarrLayout } from './zarr-metadata.js'

const maxZarrayBytes = 2 ** 20

/**
 * Reads one tensor from its zarr folder in the folder `checkpoint`, chunk by chunk. With `part`, only the part at this
 * index of its first axis is read, from the chunks that have some of it; the tensor then has two axes or more.
 */
export async function readZarr(checkpoint: string, leaf: ZarrLeaf, part?: number): Promise<HostTensor> {
  const folder = join(checkpoint, leaf.folder)
  const { name } = leaf
  const files = new Set(
    await withPath(folder, () => readdir(folder)).catch((error: unknown) => {
      throw error instanceof FileError
        ? new FileError(`${error.message}: tensor ${quote(name)} should be here`, { cause: error })
        : error
    }),
  )
  const zarray = join(folder, '.zarray')
  const layout = files.has('.zarray')
    ? parseZarray(zarray, await readSmallText(zarray, maxZarrayBytes), leaf)
    : layoutWithoutZarray(folder, leaf)
  checkAllThere(folder, name, layout, files)

  const tensor = allocateTensor(folder, part === undefined ? leaf : { ...leaf, shape: leaf.shape.slice(1) })
  if (layout.fill !== undefined && !Object.is(layout.fill, 0)) {
    const write = writer(tensor.dtype, tensor.data)
    for (let i = 0; i < tensor.data.length; i++) write(i, layout.fill)
  }
  for (const index of gridOf(layout)) {
    if (part !== undefined && index[0] !== Math.floor(part / layout.chunks[0])) continue
    const file = chunkName(index)
    if (files.has(file)) await readChunk(join(folder, file), name, layout, index, bytesOf(tensor), part)
  }
  return tensor
}

/** The name of a chunk's file, from its index in the grid: `0.2`. */
export const chunkName = (index: readonly number[]): string => (index.length === 0 ? '0' : index.join('.'))

/** The indices of all chunks in a grid, the last axis varying fastest. */
export function* gridOf({ grid }: Pick<ZarrLayout, 'grid'>): Generator<number[]> {
  const count = sizeOf(grid)
  for (let n = 0; n < count; n++) {
    const index = new Array<number>(grid.length)
    for (let d = grid.length - 1, rest = n; d >= 0; d--) {
      index[d] = rest % grid[d]
      rest = Math.floor(rest / grid[d])
    }
    yield index
  }
}

/**
 * Throws a FileError if a chunk is missing and the array has no fill value. (zarr allows missing chunks, whose elements
 * are the fill value; without one, a half-copied folder would be read as zeros.)
 */
function checkAllThere(folder: string, name: string, layout: ZarrLayout, files: ReadonlySet<string>): void {
  if (layout.fill !== undefined) return
  const total = sizeOf(layout.grid)
  const missing = total - [...files].filter(file => isChunkOf(layout, file)).length
  if (missing === 0) return
  const first: string[] = []
  for (const index of gridOf(layout)) {
    if (!files.has(chunkName(index))) first.push(chunkName(index))
    if (first.length === Math.min(missing, 10)) break
  }
  throw new FileError(
    `${folder}: tensor ${quote(name)}: ${formatCount(missing)} of ${formatCount(total)} chunks are missing (${listItems(first, missing)}), and .zarray has no fill_value for their elements: copy or download the folder again`,
  )
}

/** Whether a file's name is that of a chunk in the grid. */
function isChunkOf({ grid }: Pick<ZarrLayout, 'grid'>, file: string): boolean {
  const index = grid.length === 0 ? [] : file.split('.').map(Number)
  return index.length === grid.length && index.every((i, d) => i < grid[d]) && chunkName(index) === file
}
