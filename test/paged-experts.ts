import { flatten, pathsOf, unflatten } from '../src/base/pytree.js'
import type { Tree } from '../src/base/pytree.js'
import { allocate, dtypes } from '../src/base/dtypes.js'
import type { DType } from '../src/base/dtypes.js'
import { bytesOf, castHost, partOf, sizeOf } from '../src/base/host-tensor.js'
import type { HostTensor } from '../src/base/host-tensor.js'
import { pagedArray } from '../src/engine/api/paged-array.js'
import type { Page, PagePart, Pages } from '../src/engine/api/paged-array.js'
import { PageArenas } from '../src/engine/compile/wasm/page-arenas.js'
import { hostView } from '../src/engine/api/tensor.js'
import type { Tensor } from '../src/engine/api/tensor.js'

/**
 * Pages of arrays in memory. They come in reverse order, and the memory of each one is overwritten when the next one is
 * asked for.
 */
export class MemoryPages implements Pages {
  /** The indices of every call of `fetch`. */
  readonly fetched: (readonly number[])[] = []
  /** The error of the next fetch, after its first page. */
  failure: Error | null = null
  readonly length: number
  readonly parts: readonly PagePart[]

  constructor(
    readonly name: string,
    private readonly arrays: readonly HostTensor[],
    isTransposed = false,
  ) {
    this.length = arrays[0].shape[0]
    this.parts = arrays.map(({ dtype, shape }) => ({ dtype, shape: shape.slice(1), isTransposed }))
  }

  async *fetch(indices: readonly number[]): AsyncGenerator<Page> {
    this.fetched.push(indices)
    for (const index of indices.toReversed()) {
      const parts = this.arrays.map(array => partOf(array, index)).map(pageCopier(this.arrays))
      yield { index, parts }
      for (const part of parts) bytesOf(part).fill(0xff)
      if (this.failure === null) continue
      const error = this.failure
      this.failure = null
      throw error
    }
  }
}

/** Copies the parts of a page; those of quantized kernels to where a Pager has them. */
function pageCopier(arrays: readonly HostTensor[]): (part: HostTensor) => HostTensor {
  if (!arrays.some(({ dtype }) => dtype === 'int8' || dtype === 'uint8'))
    return part => ({ ...part, data: part.data.slice() })
  const arenas = new PageArenas(arrays.reduce((sum, { data }) => sum + data.byteLength + 64, 0))
  return part => {
    const { buffer, byteOffset } = arenas.allocate(part.data.byteLength)
    const data = dtypes[part.dtype].make(buffer, byteOffset, part.data.length)
    bytesOf({ ...part, data }).set(bytesOf(part))
    return { ...part, data }
  }
}

/**
 * Parameters whose experts' kernels are paged, with one `MemoryPages` for each sparse layer. `stored`: the dtype in
 * which the pages hold float32 kernels. `isTransposed`: whether they hold them transposed.
 */
export async function withPagedExperts<P extends object>(
  params: P,
  { stored = 'float32', isTransposed = false }: { stored?: DType; isTransposed?: boolean } = {},
): Promise<{ params: P; pages: MemoryPages[] }> {
  const { leaves, def } = flatten<Tensor>(params as Tree<Tensor>)
  const layers = new Map<string, number[]>()
  pathsOf(def).forEach((path, i) => {
    const layer = /^(.*[./]expert)[./]/.exec(path)?.[1]
    if (layer !== undefined) layers.set(layer, [...(layers.get(layer) ?? []), i])
  })
  const all: MemoryPages[] = []
  const paged = new Map<number, Tensor>()
  for (const [layer, positions] of layers) {
    const arrays = await Promise.all(
      positions.map(async i => {
        const host = await hostView(leaves[i])
        const cast = host.dtype === 'float32' && host.shape.length === 3 ? castHost(host, stored) : host
        return isTransposed ? transposed(cast) : cast
      }),
    )
    const pages = new MemoryPages(layer, arrays, isTransposed)
    positions.forEach((i, part) => paged.set(i, pagedArray(pages, part, leaves[i].dtype)))
    all.push(pages)
  }
  return {
    params: unflatten(
      def,
      leaves.map((leaf, i) => paged.get(i) ?? leaf),
    ) as P,
    pages: all,
  }
}

/** An array with its last two axes swapped. */
function transposed({ dtype, shape, data }: HostTensor): HostTensor {
  const [rows, columns] = shape.slice(-2)
  const result = allocate(dtype, data.length)
  for (let i = 0; i < sizeOf(shape); i++) {
    const [matrix, row, column] = [Math.floor(i / (rows * columns)), Math.floor(i / columns) % rows, i % columns]
    result[(matrix * columns + column) * rows + row] = data[i]
  }
  return { dtype, shape: [...shape.slice(0, -2), columns, rows], data: result }
}
