/** The turn of a sparse layer in a pass: the pages that its tokens want, each once. */
export interface Turn {
  readonly stack: number
  readonly pages: Int32Array
}
