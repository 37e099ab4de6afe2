import { allocate, isFloat } from '../../../base/dtypes.js'
import { reader, sizeOf, stridesOf, toNumbers, writer } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import type { GatherParams } from '../../program/primitives.js'
import { integerReader, integerWriter } from './integers.js'
import { copyElement, dot, eachIndex } from './structure.js'

/**
 * Calls `f(position, element)` for every element of a gather's result or of a scatter's updates (`shape`): its flat
 * position there, and its flat position in the operand, or -1 if an index is out of bounds and the mode is not `clip`.
 */
function eachGathered(
  operand: HostTensor,
  indices: HostTensor,
  { axes, batchDims, mode }: GatherParams,
  shape: readonly number[],
  f: (position: number, element: number) => void,
): void {
  const strides = stridesOf(operand.shape)
  const indexStrides = stridesOf(indices.shape)
  const indexDims = indices.shape.length - 1
  const keptStrides = strides.filter((_, i) => i >= batchDims && !axes.includes(i))
  const read = reader(indices.dtype, indices.data)
  eachIndex(shape, (index, position) => {
    const row = dot(indexStrides.slice(0, -1), index.slice(0, indexDims))
    let element = dot(strides.slice(0, batchDims), index.slice(0, batchDims)) + dot(keptStrides, index.slice(indexDims))
    let inside = true
    axes.forEach((axis, k) => {
      const size = operand.shape[axis]
      const i = read(row + k)
      if (i < 0 || i >= size) inside = false
      element += Math.max(0, Math.min(i, size - 1)) * strides[axis]
    })
    f(position, inside || mode === 'clip' ? element : -1)
  })
}

export function gather(
  operand: HostTensor,
  indices: HostTensor,
  params: GatherParams,
  shape: readonly number[],
): HostTensor {
  const data = allocate(operand.dtype, sizeOf(shape))
  eachGathered(operand, indices, params, shape, (position, element) => {
    if (element >= 0) copyElement(operand.data, element, data, position)
  })
  return { dtype: operand.dtype, shape, data }
}

export function scatter(
  operand: HostTensor,
  indices: HostTensor,
  updates: HostTensor,
  params: GatherParams,
): HostTensor {
  const data = operand.data.slice()
  eachGathered(operand, indices, params, updates.shape, (position, element) => {
    if (element >= 0) copyElement(updates.data, position, data, element)
  })
  return { ...operand, data }
}

export function scatterAdd(
  operand: HostTensor,
  indices: HostTensor,
  updates: HostTensor,
  params: GatherParams,
): HostTensor {
  const data = operand.data.slice()
  if (!isFloat(operand.dtype)) {
    const [current, update, write] = [
      integerReader(data),
      integerReader(updates.data),
      integerWriter(operand.dtype, data),
    ]
    eachGathered(operand, indices, params, updates.shape, (position, element) => {
      if (element >= 0) write(element, current(element) + update(position))
    })
    return { ...operand, data }
  }
  // Summed in double precision and rounded once, at the end.
  const sums = Float64Array.from(toNumbers(operand))
  const update = reader(updates.dtype, updates.data)
  eachGathered(operand, indices, params, updates.shape, (position, element) => {
    if (element >= 0) sums[element] += update(position)
  })
  const write = writer(operand.dtype, data)
  sums.forEach((sum, i) => write(i, sum))
  return { ...operand, data }
}
