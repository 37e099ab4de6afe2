import type { DType } from '../../base/dtypes.js'
import { Concrete } from '../compile/concrete.js'
import { shapeOfPart } from '../compile/paged/paged-buffer.js'
import type { Pages } from '../compile/paged/pages.js'
import { defaultEngine } from './engine.js'
import { Tensor } from './tensor.js'

export type { AbsentPage, Page, PagePart, Pages } from '../compile/paged/pages.js'

/**
 * A paged array: an array [pages, ...] whose data is not in memory. Part i along its first axis is part number `part`
 * of page i, converted to `dtype`. A function made by `specialize` that takes it among its weights fetches the pages
 * that it needs while it runs, if it reads the array in ragged products only (an expert's kernels). Every other use
 * throws a SwitchyardError.
 */
export const pagedArray = (pages: Pages, part: number, dtype: DType = pages.parts[part].dtype): Tensor =>
  new Tensor(defaultEngine().paged({ dtype, shape: [pages.length, ...shapeOfPart(pages.parts[part])] }, pages, part))

/** Whether an array is a paged one. */
export const isPaged = ({ value }: Tensor): boolean => value instanceof Concrete && value.paged !== null
