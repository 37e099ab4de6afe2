import type { Tensor } from '../../engine/api/tensor.js'
import { composite } from '../../engine/api/composite.js'
import * as np from '../../engine/api/np.js'
import { bitsOf, isQuantized, wholeKernel } from '../quantized.js'
import { rowsAt } from '../rows.js'
import type { Kernel, QuantizedKernel } from '../quantized.js'
import { takeRows } from './dispatch.js'

/**
 * Products of rows that stand in groups, each group with a kernel of its own, in x's dtype: the first `groupSizes[0]` rows of x [rows, in]
 * times kernel 0 of [groups, in, out], the next `groupSizes[1]` (int32) times kernel 1, and so on; rows behind the last group become 0.
 * The groups may not have more rows than there are. Returns [rows, out]. (JAX's `ragged_dot`.)
 */
export function raggedDot(x: Tensor, kernels: Kernel, groupSizes: Tensor): Tensor {
  if (!isQuantized(kernels)) return raggedProduct(x, np.astype(kernels, x.dtype), groupSizes) // [rows, out]
  return np.astype(quantizedProduct(bitsOf(kernels, x.shape[1]))(np.astype(x, 'float32'), kernels, groupSizes), x.dtype) // [rows, out]
}

/** A backend that knows `ragged_dot`, or `quantized_ragged_dot`, reads the kernels of groups that have rows, and computes those alone. */
const raggedProduct = composite('ragged_dot', (x: Tensor, kernels: Tensor, groupSizes: Tensor): Tensor =>
  productOfBlocks(x, groupSizes, group => rowsAt(kernels, group)),
) // [rows, out]

const quantizedProduct = (bits: number): ((x: Tensor, kernels: QuantizedKernel, groupSizes: Tensor) => Tensor) =>
  composite(
    'quantized_ragged_dot',
    (x, { values, scales }, groupSizes) =>
      productOfBlocks(x, groupSizes, group =>
        wholeKernel({ values: rowsAt(values, group), scales: rowsAt(scales, group) }, x.shape[1]),
      ),
    { attributes: { bits } },
  ) // [rows, out]

/**
 * In fixed shapes: groups are cut into blocks as high as the mean group, so that one batched product of at most twice as many rows, and
 * one for each group, does it. `kernelsOf` gives the kernels [blocks, in, out] of the groups [blocks] that blocks belong to.
 */
function productOfBlocks(x: Tensor, groupSizes: Tensor, kernelsOf: (group: Tensor) => Tensor): Tensor {
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
  const kernels = kernelsOf(groupOfBlock) // [blocks, in, out]
  const products = np.matmul(takeRows(x, np.where(isFilled, slotRow, numRows)), kernels) // [blocks, height, out]

  const row = np.arange(numRows) // [rows]
  const groupOfRow = groupAt(row, end) // [rows]
  const slot = np.add(np.multiply(rowsAt(firstBlock, groupOfRow), height), np.subtract(row, rowsAt(start, groupOfRow))) // [rows]
  const isInGroup = np.less(row, np.sum(groupSizes)) // [rows]
  return takeRows(
    np.reshape(products, [numBlocks * height, kernels.shape[2]]),
    np.where(isInGroup, slot, numBlocks * height),
  ) // [rows, out]
}

/** The group that each place belongs to, where groups end before `ends` [groups]: the last one for places behind all. */
function groupAt(places: Tensor, ends: Tensor): Tensor {
  const isBehind = np.lessEqual(np.expandDims(ends, 0), np.expandDims(places, 1)) // [places, groups]
  return np.minimum(np.sum(np.astype(isBehind, 'int32'), { axis: 1 }), ends.shape[0] - 1) // [places]
}
