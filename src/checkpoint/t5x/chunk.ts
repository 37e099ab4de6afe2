import { Readable, pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { ZSTDDecoder } from 'zstddec'
import { dtypes } from '../../base/dtypes.js'
import { FileError } from '../../base/errors.js'
import { formatBytes, formatCount } from '../../base/format.js'
import { stridesOf } from '../../base/host-tensor.js'
import { readExactly } from '../byte-source.js'
import type { ByteSource } from '../byte-source.js'
import { openFile } from '../files.js'
import { quote } from '../format.js'
import type { ZarrLayout } from './zarr-metadata.js'

const pieceBytes = 2 ** 20
/** The largest zstd chunk: zstd is decompressed in one piece, in a WebAssembly memory. */
const maxZstdBytes = 2 ** 30

/**
 * Reads one chunk's file into `target`, the bytes of the whole array; or, with `part`, those of its part at this index
 * of the first axis. The array then has two axes or more. `index` is the chunk's index in the grid. The
 * file is decompressed in small pieces, so memory stays flat; zstd needs the chunk's size in addition.
 */
export async function readChunk(
  path: string,
  name: string,
  layout: ZarrLayout,
  index: readonly number[],
  target: Uint8Array,
  part?: number,
): Promise<void> {
  const { compressor, chunkBytes } = layout
  const wrong = (message: string, cause?: unknown): FileError =>
    new FileError(
      `${path}: this chunk of tensor ${quote(name)} ${message}: the file is broken, copy or download it again`,
      { cause },
    )
  const file = await openFile(path)
  const place = new ChunkPlace(layout, index, target, part)
  try {
    for await (const piece of compressor === 'gzip'
      ? gunzip(file, wrong)
      : compressor === 'zstd'
        ? unzstd(file, chunkBytes, wrong)
        : pieces(file)) {
      if (place.filled + piece.length > chunkBytes)
        throw wrong(`unpacks to more than the ${formatCount(chunkBytes)} bytes that a chunk has`)
      place.put(piece)
    }
  } finally {
    await file.close()
  }
  if (place.filled !== chunkBytes)
    throw wrong(
      `has ${formatCount(place.filled)} bytes, and a chunk of ${layout.dtype}[${layout.chunks}] has ${formatCount(chunkBytes)}`,
    )
}

type Wrong = (message: string, cause?: unknown) => FileError

async function* pieces(file: ByteSource): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.size; at += pieceBytes)
    yield await readExactly(file, at, Math.min(pieceBytes, file.size - at), 'a chunk')
}

async function* gunzip(file: ByteSource, wrong: Wrong): AsyncGenerator<Uint8Array> {
  let failure: unknown
  const source = Readable.from(pieces(file))
  const unpacked = pipeline(source, createGunzip({ chunkSize: 2 ** 18 }), () => undefined)
  source.once('error', (error: unknown) => {
    failure = error
  })
  try {
    if (file.size === 0) throw new Error('the file is empty') // zlib would accept it as complete
    yield* unpacked as AsyncIterable<Uint8Array>
  } catch (error) {
    if (failure instanceof FileError) throw failure
    throw wrong(`is not what gzip writes (${(error as Error).message})`, error)
  } finally {
    unpacked.destroy()
    source.destroy()
  }
}

async function* unzstd(file: ByteSource, chunkBytes: number, wrong: Wrong): AsyncGenerator<Uint8Array> {
  const { size: bytes } = file
  if (chunkBytes > maxZstdBytes || bytes > maxZstdBytes) {
    throw wrong(
      `is packed with zstd, ${formatBytes(bytes)} for ${formatBytes(chunkBytes)}, and Switchyard unpacks at most ${formatBytes(maxZstdBytes)} at once`,
    )
  }
  const packed = await readExactly(file, 0, bytes, 'a chunk')
  const decoder = new ZSTDDecoder()
  await decoder.init()
  const unpacked = decoder.decode(packed, chunkBytes) // empty if the bytes are not zstd or decompress to more
  if (unpacked.length === 0)
    throw wrong(
      `is not what zstd writes, or unpacks to more than the ${formatCount(chunkBytes)} bytes that a chunk has`,
    )
  yield unpacked
}

/**
 * Copies a chunk's bytes, which arrive in order, to their places in the array: each row of the chunk is one contiguous
 * run.
 */
class ChunkPlace {
  /** The number of the chunk's bytes that have arrived. */
  filled = 0
  /** The first axis of a run: the chunk covers all later axes of the array completely. */
  private readonly axis: number
  private readonly runBytes: number
  /** The number of bytes of a run that are inside the array. A chunk at the array's edge extends beyond it. */
  private readonly keptBytes: number
  private readonly strides: readonly number[]
  private readonly begin: readonly number[]

  constructor(
    private readonly layout: ZarrLayout,
    index: readonly number[],
    private readonly target: Uint8Array,
    private readonly part?: number,
  ) {
    const { shape, chunks, dtype } = layout
    const width = dtypes[dtype].bytes
    this.strides = stridesOf(shape).map(stride => stride * width)
    this.begin = index.map((i, d) => i * chunks[d])
    let axis = Math.max(0, shape.length - 1)
    // A run lies in one part.
    const least = part === undefined ? 0 : 1
    while (axis > least && chunks[axis] === shape[axis]) axis--
    this.axis = axis
    const stride = this.strides[axis] ?? width
    this.runBytes = stride * (chunks[axis] ?? 1)
    this.keptBytes = shape.length === 0 ? stride : stride * Math.min(chunks[axis], shape[axis] - this.begin[axis])
  }

  put(piece: Uint8Array): void {
    for (let done = 0; done < piece.length;) {
      const row = Math.floor(this.filled / this.runBytes)
      const within = this.filled - row * this.runBytes
      const length = Math.min(piece.length - done, this.runBytes - within)
      const kept = Math.min(length, this.keptBytes - within)
      const start = kept > 0 ? this.startOf(row) : undefined
      if (start !== undefined) this.target.set(piece.subarray(done, done + kept), start + within)
      this.filled += length
      done += length
    }
  }

  /** The target's byte at which a row of the chunk begins; undefined if the row is not in the target. */
  private startOf(row: number): number | undefined {
    const { shape, chunks } = this.layout
    let start = (this.begin[this.axis] ?? 0) * (this.strides[this.axis] ?? 0)
    for (let d = this.axis - 1; d >= 0; d--) {
      const at = this.begin[d] + (row % chunks[d])
      if (at >= shape[d]) return undefined
      if (d > 0 || this.part === undefined) start += at * this.strides[d]
      else if (at !== this.part) return undefined
      row = Math.floor(row / chunks[d])
    }
    return start
  }
}
