import { SCRATCH_BYTES } from './page-arenas.js'

/** The most rows that generated code multiplies at once by a kernel in a page: their sums are in registers. */
export const MOST_ROWS = 4

/** A float32 number below 2^22 to which this is added, and then subtracted, is rounded to an integer, half to even. */
export const ROUND = 1.5 * 2 ** 23

/** The first address of the scratch space that is used. Address 0 is left out. */
const BEGIN = 64

/** Where arrays of these sizes in bytes lie in the scratch space of a page arena, and where the last one ends. */
export function scratchPlan(sizes: readonly number[]): { readonly offsets: number[]; readonly end: number } {
  let end = BEGIN
  const offsets = sizes.map(bytes => {
    const offset = end
    end += Math.ceil(bytes / 64) * 64
    return offset
  })
  return { offsets, end }
}

export const fitsScratch = (sizes: readonly number[]): boolean => scratchPlan(sizes).end <= SCRATCH_BYTES
