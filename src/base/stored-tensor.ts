import type { DType } from './dtypes.js'
import type { HostTensor } from './host-tensor.js'

/** Bytes of a file on disk. `file` is an absolute path. */
export interface FileRange {
  readonly file: string
  readonly offset: number
  readonly length: number
}

/**
 * A tensor as a file on disk holds it, in row-major order: in one piece, or in equal pieces, one for each index of its
 * first axis.
 */
export interface FileTensor {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly pieces: readonly FileRange[]
}

/** A tensor that is in a file on disk and not in memory. ONNX Runtime can read the file itself. */
export interface StoredTensor {
  readonly dtype: DType
  readonly shape: readonly number[]
  /**
   * The tensor in the file, perhaps in a narrower floating point type. If `isTransposed`, its last two axes are in
   * reverse order: [out, in] for [in, out].
   */
  readonly inFile: FileTensor
  readonly isTransposed: boolean
  /** Reads the tensor into memory. */
  read(): Promise<HostTensor>
  /**
   * Checks the bytes of the file while something else reads them, until `use` settles. Throws a FileError if the file
   * has changed since it was opened, or if its bytes are damaged: what was read may then be wrong.
   */
  check(use: Promise<unknown>): Promise<void>
}

/** The part at index `i` of the first axis. */
export function partOfFile({ dtype, shape: [parts, ...shape], pieces }: FileTensor, i: number): FileTensor {
  if (pieces.length > 1) return { dtype, shape, pieces: [pieces[i]] }
  const [{ file, offset, length }] = pieces
  return { dtype, shape, pieces: [{ file, offset: offset + (i * length) / parts, length: length / parts }] }
}
