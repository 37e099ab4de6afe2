import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { allocate } from '../../base/dtypes.js'
import { FileError } from '../../base/errors.js'
import { formatBytes, formatCount } from '../../base/format.js'
import { bytesOf, sizeOf, writer } from '../../base/tensor.js'
import type { HostTensor } from '../../base/tensor.js'
import { readSmallText, withPath } from '../files.js'
import { byteLength, quote } from '../format.js'
import { readChunk } from './chunk.js'
import type { ZarrLeaf } from './state-tree.js'
import { layoutWithoutZarray, parseZarray } from './zarr-metadata.js'
import type { ZarrLayout } from './zarr-metadata.js'

const maxZarrayBytes = 2 ** 20

/** Reads a leaf's zarr folder, which stands in `checkpoint`, chunk by chunk into the tensor. */
export async function readZarr(checkpoint: string, leaf: ZarrLeaf): Promise<HostTensor> {
  const folder = join(checkpoint, leaf.folder)
  const { name, dtype, shape } = leaf
  const files = new Set(await withPath(folder, () => readdir(folder)).catch((error: unknown) => {
    throw error instanceof FileError ? new FileError(`${error.message}: tensor ${quote(name)} should be here`, { cause: error }) : error
  }))
  const zarray = join(folder, '.zarray')
  const layout = files.has('.zarray') ? parseZarray(zarray, await readSmallText(zarray, maxZarrayBytes), leaf) : layoutWithoutZarray(folder, leaf)
  checkAllThere(folder, name, layout, files)

  const tensor = allocateTensor(folder, leaf, layout.fill)
  for (const index of gridOf(layout)) {
    const file = chunkName(index)
    if (files.has(file)) await readChunk(join(folder, file), name, layout, index, bytesOf(tensor))
  }
  return { dtype, shape, data: tensor.data }
}

/** The name of a chunk's file, by its place in the grid. */
export const chunkName = (index: readonly number[]): string => (index.length === 0 ? '0' : index.join('.'))

/** The places of all chunks in a grid, the last axis running fastest. */
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

/** A chunk may be left out only where zarr says what its elements are: otherwise a half-copied folder would read as zeros. */
function checkAllThere(folder: string, name: string, layout: ZarrLayout, files: ReadonlySet<string>): void {
  if (layout.fill !== undefined) return
  for (const index of gridOf(layout)) {
    if (files.has(chunkName(index))) continue
    throw new FileError(`${folder}: tensor ${quote(name)}: chunk ${chunkName(index)} of ${formatCount(sizeOf(layout.grid))} is missing, and there is no fill_value to stand for it: copy or download the folder again`)
  }
}

function allocateTensor(folder: string, { name, dtype, shape }: ZarrLeaf, fill: number | undefined): HostTensor {
  let data
  try {
    data = allocate(dtype, sizeOf(shape))
  } catch (error) {
    throw new FileError(`${folder}: tensor ${quote(name)} has ${formatBytes(byteLength(dtype, shape)!)}, more than this machine can hold in one piece`, { cause: error })
  }
  if (fill !== undefined && !Object.is(fill, 0)) {
    const write = writer(dtype, data)
    for (let i = 0; i < data.length; i++) write(i, fill)
  }
  return { dtype, shape, data }
}
