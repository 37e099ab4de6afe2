import { memoized } from '../../base/lru.js'
import type { Tensor } from '../../engine/api/tensor.js'
import { composite } from '../../engine/api/composite.js'
import * as np from '../../engine/api/np.js'
import {
  bitsOf,
  blockProduct,
  integerProduct,
  isByColumn,
  isQuantized,
  multiplyIntegers,
  wholeKernel,
} from '../quantized.js'
import { rowsAt } from '../rows.js'
import type { Kernel, QuantizedKernel } from '../quantized.js'
import { takeRows } from './dispatch.js'

/**
 * Multiplies consecutive groups of rows by one kernel each, as JAX's `ragged_dot`: the first `groupSizes[0]` rows of x
 * [rows, in] by the first of the kernels [groups, in, out], the next `groupSizes[1]` rows by the second, and so on.
 * Rows after the last group give 0. `groupSizes` [groups] is int32 and sums to at most `rows`. Computed in x's dtype.
 * Returns [rows, out].
 */
export function raggedDot(x: Tensor, kernels: Kernel, groupSizes: Tensor): Tensor {
  if (!isQuantized(kernels)) return raggedProduct(x, np.astype(kernels, x.dtype), groupSizes) // [rows, out]
  const multiply = isByColumn(kernels) ? raggedIntegerProduct : raggedBlockProduct(bitsOf(kernels, x.shape[1]))
  return np.astype(multiply(np.astype(x, 'float32'), kernels, groupSizes), x.dtype) // [rows, out]
}

/**
 * Composites: a backend may lower these names to code that reads only the kernels of groups that have rows. These
 * have no rule for their derivative, which differentiates their formulas; `raggedProduct` adds the first derivative.
 */
const product = composite('ragged_dot', (x: Tensor, kernels: Tensor, groupSizes: Tensor): Tensor =>
  productOfBlocks(x, groupSizes, (rows, group) => np.matmul(rows, rowsAt(kernels, group))),
) // [rows, out]

/** As `product`, with kernels [groups, out, in]. */
const productTransposed = composite(
  'ragged_dot',
  (x: Tensor, kernels: Tensor, groupSizes: Tensor): Tensor =>
    productOfBlocks(x, groupSizes, (rows, group) => np.matmul(rows, np.swapaxes(rowsAt(kernels, group), 1, 2))),
  { attributes: { transposed: 1 } },
) // [rows, out]

/**
 * For each group, the product of its rows of x [rows, in], transposed, with its rows of y [rows, out]. A group without
 * rows gives 0.
 */
const outerProduct = composite('ragged_outer', (x: Tensor, y: Tensor, groupSizes: Tensor): Tensor => {
  const [[numRows], [numGroups]] = [x.shape, groupSizes.shape]
  const row = np.arange(numRows) // [rows]
  const group = np.where(np.less(row, np.sum(groupSizes)), groupAt(row, np.cumsum(groupSizes, 0)), numGroups) // [rows]
  const isInGroup = np.swapaxes(np.oneHot(group, numGroups, { dtype: x.dtype }), 0, 1) // [groups, rows]
  const ofGroup = np.multiply(np.expandDims(isInGroup, 1), np.swapaxes(x, 0, 1)) // [groups, in, rows]
  return np.matmul(ofGroup, y) // [groups, in, out]
})

const raggedProduct = composite(
  'ragged_dot',
  (x: Tensor, kernels: Tensor, groupSizes: Tensor): Tensor => product(x, kernels, groupSizes), // [rows, out]
  {
    vjp: {
      forward: (x, kernels, groupSizes) => [product(x, kernels, groupSizes), { x, kernels, groupSizes }],
      backward: ({ x, kernels, groupSizes }: { x: Tensor; kernels: Tensor; groupSizes: Tensor }, ct) => [
        productTransposed(ct, kernels, groupSizes), // [rows, in]
        outerProduct(x, ct, groupSizes), // [groups, in, out]
        null,
      ],
    },
    ofGroup: (rows, kernel) => np.matmul(rows, kernel), // [rows, out]
  },
)

const raggedBlockProduct = memoized(2, (bits: number) =>
  composite(
    'quantized_ragged_dot',
    (x: Tensor, kernels: QuantizedKernel, groupSizes: Tensor) =>
      productOfBlocks(x, groupSizes, (rows, group) =>
        np.matmul(rows, wholeKernel(kernelsAt(kernels, group), x.shape[1])),
      ),
    { attributes: { bits }, ofGroup: blockProduct(bits) },
  ),
) // [rows, out]

/** With kernels by column, as `multiplyIntegers`. */
const raggedIntegerProduct = composite(
  'integer_ragged_dot',
  (x: Tensor, kernels: QuantizedKernel, groupSizes: Tensor): Tensor =>
    productOfBlocks(x, groupSizes, (rows, group) => multiplyIntegers(rows, kernelsAt(kernels, group))),
  { ofGroup: integerProduct },
) // [rows, out]

const kernelsAt = ({ values, scales }: QuantizedKernel, groups: Tensor): QuantizedKernel => ({
  values: rowsAt(values, groups),
  scales: rowsAt(scales, groups),
})

/**
 * The ragged matmul in fixed shapes. Each group's rows are padded to whole blocks of `height` rows, the mean size of a
 * group; then one batched matmul multiplies every block by its group's kernel. There are at most rows / height +
 * groups blocks, so at most about twice as many rows are multiplied. `multiply` multiplies blocks of rows [blocks,
 * height, in] by the kernels of the group numbers [blocks], to [blocks, height, out].
 */
function productOfBlocks(x: Tensor, groupSizes: Tensor, multiply: (rows: Tensor, group: Tensor) => Tensor): Tensor {
  const [[numRows], [numGroups]] = [x.shape, groupSizes.shape]
  const height = Math.max(1, Math.ceil(numRows / numGroups))
  const numBlocks = Math.floor(numRows / height) + Math.min(numGroups, numRows)
  const end = np.cumsum(groupSizes, 0) // [groups]
  const start = np.subtract(end, groupSizes) // [groups]
  const blocksOfGroup = np.floorDivide(np.add(groupSizes, height - 1), height) // [groups]
  const blockEnd = np.cumsum(blocksOfGroup, 0) // [groups]
  const firstBlock = np.subtract(blockEnd, blocksOfGroup) // [groups]

  const block = np.arange(numBlocks) // [blocks]
  const groupOfBlock = groupAt(block, blockEnd) // [blocks]
  const firstRow = np.add(
    rowsAt(start, groupOfBlock),
    np.multiply(np.subtract(block, rowsAt(firstBlock, groupOfBlock)), height),
  ) // [blocks]
  const slotRow = np.add(np.expandDims(firstRow, 1), np.arange(height)) // [blocks, height]
  const isFilled = np.less(slotRow, np.expandDims(rowsAt(end, groupOfBlock), 1)) // [blocks, height]
  const products = multiply(takeRows(x, np.where(isFilled, slotRow, numRows)), groupOfBlock) // [blocks, height, out]

  const row = np.arange(numRows) // [rows]
  const groupOfRow = groupAt(row, end) // [rows]
  const slot = np.add(np.multiply(rowsAt(firstBlock, groupOfRow), height), np.subtract(row, rowsAt(start, groupOfRow))) // [rows]
  const isInGroup = np.less(row, np.sum(groupSizes)) // [rows]
  return takeRows(
    np.reshape(products, [numBlocks * height, products.shape[2]]),
    np.where(isInGroup, slot, numBlocks * height),
  ) // [rows, out]
}

/**
 * The group of each of `indices` (row or block numbers). Group g has the indices from ends[g - 1] up to, but not
 * including, ends[g] of `ends` [groups]. Indices after the last group count as part of it.
 */
function groupAt(indices: Tensor, ends: Tensor): Tensor {
  const isBehind = np.lessEqual(np.expandDims(ends, 0), np.expandDims(indices, 1)) // [indices, groups]
  return np.minimum(np.sum(np.astype(isBehind, 'int32'), { axis: 1 }), ends.shape[0] - 1) // [indices]
}
