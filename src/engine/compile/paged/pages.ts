import type { DType } from '../../../base/dtypes.js'
import type { HostTensor } from '../../../base/host-tensor.js'

/**
 * Where the data of paged arrays comes from: several arrays with one first axis, such as the kernels of all experts of
 * a layer, whose parts with the same index are one page. A program that reads these arrays fetches pages while it runs.
 */
export interface Pages {
  /** For messages: `encoder/layers_1/mlp/expert`. */
  readonly name: string
  /** The number of pages: the length of the arrays' first axis. */
  readonly length: number
  /** What a page holds: one part of each array, in this order. */
  readonly parts: readonly PagePart[]
  /**
   * Fetches the pages of these indices, all different, in any order: each one as soon as it is in memory. A page's
   * memory may hold something else once the next page is asked for or the iteration ends. An error ends the iteration
   * and is the error of the program that asked.
   *
   * `sources`: for each index, the rows of the function's own array that want the page, such as tokens of a batch.
   * Undefined if they are not known. A page may be left out (`AbsentPage`): the results of the rows that want it are
   * NaN then. The caller of the function learns the reason from the implementation of this interface.
   */
  fetch(indices: readonly number[], sources?: readonly Int32Array[]): AsyncIterable<Page | AbsentPage>
}

/** A page that cannot be fetched, or that is not wanted any more. */
export interface AbsentPage {
  readonly index: number
  readonly parts: null
}

/** One index of all arrays of `Pages`, in memory. */
export interface Page {
  readonly index: number
  /** As `Pages.parts` describes them. Do not write to them. */
  readonly parts: readonly HostTensor[]
  /**
   * Asks for `bytes` more of the memory for pages, for what a program derives from this page: for some quantized
   * kernels a copy in the layout of its runtime. If there is room, returns true, and calls `free` once: before the
   * page's memory holds something else, or as soon as the room is needed. A page that is fetched again before that is
   * the same object. If there is none, or if this is left out, the program derives it at each use.
   */
  keep?(bytes: number, free: () => void): boolean
}

/** How the part of a paged array is stored. The array's part is this, transposed if said, and cast to its dtype. */
export interface PagePart {
  readonly dtype: DType
  readonly shape: readonly number[]
  /** Whether the last two axes are stored in reverse order: [out, in] for a kernel [in, out]. */
  readonly isTransposed: boolean
}
