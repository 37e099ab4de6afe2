import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { dtypes } from '../../base/dtypes.js'
import { sizeOf } from '../../base/host-tensor.js'
import { withPath } from '../files.js'
import type { TensorInfo } from '../format.js'
import { zarrayText } from './zarr-metadata.js'
import { chunkName, gridOf } from './zarr.js'

/** T5X's default for the level of gzip. */
export const gzipLevel = 1

const pack = promisify<Uint8Array, { level: number }, Buffer>(gzip)

/** An array that is written into a zarr folder. Memory holds one chunk of it at most. */
export class ZarrWriter {
  private readonly width: number
  private readonly indices: Iterator<number[]>
  private index: IteratorResult<number[]>
  /** The bytes of the next chunk so far. */
  private collected: Uint8Array[] = []
  private collectedBytes = 0

  private constructor(
    private readonly folder: string,
    private readonly shape: readonly number[],
    private readonly chunks: readonly number[],
    dtype: TensorInfo['dtype'],
  ) {
    this.width = dtypes[dtype].bytes
    this.indices = gridOf({ grid: shape.map((d, i) => Math.ceil(d / chunks[i])) })
    this.index = this.indices.next()
  }

  /** Creates the folder. `chunks` is the shape of a chunk, as `chooseChunks` chooses it. */
  static async create(
    folder: string,
    { dtype, shape, chunks }: Pick<TensorInfo, 'dtype' | 'shape'> & { readonly chunks: readonly number[] },
  ): Promise<ZarrWriter> {
    await withPath(folder, () => mkdir(folder))
    await withPath(folder, () => writeFile(join(folder, '.zarray'), zarrayText(dtype, shape, chunks, gzipLevel)))
    return new ZarrWriter(folder, shape, chunks, dtype)
  }

  /** Writes the next bytes of the array, in the order of its elements. The chunks follow each other in that order. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength;) {
      const wanted = this.bytesOfChunk() - this.collectedBytes
      const part = bytes.subarray(at, at + wanted)
      at += part.byteLength
      this.collected.push(part)
      this.collectedBytes += part.byteLength
      if (part.byteLength === wanted) await this.writeChunk()
    }
  }

  /** The bytes of the next chunk that lie within the array: fewer at the end of an axis. */
  private bytesOfChunk(): number {
    const index = this.index.value as readonly number[]
    return this.width * sizeOf(index.map((i, d) => Math.min(this.chunks[d], this.shape[d] - i * this.chunks[d])))
  }

  private async writeChunk(): Promise<void> {
    const size = sizeOf(this.chunks) * this.width
    const [first, ...others] = this.collected
    const isWhole = others.length === 0 && first.byteLength === size
    const file = join(this.folder, chunkName(this.index.value as number[]))
    const chunk = isWhole ? first : Buffer.concat(this.collected, size) // filled up with zeros
    await withPath(file, async () => writeFile(file, await pack(chunk, { level: gzipLevel })))
    this.collected = []
    this.collectedBytes = 0
    this.index = this.indices.next()
  }
}
