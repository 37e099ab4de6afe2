import { expect, it } from 'vitest'
import { castHost, hostFrom, toNumbers } from '../base/host-tensor.js'
import { readStack, transposeMatrix, unstackTensor } from './layout.js'

const matrix = (rows: number, columns: number, start = 0): ReturnType<typeof hostFrom> =>
  hostFrom(
    'float32',
    [rows, columns],
    Array.from({ length: rows * columns }, (_, i) => start + i),
  )

it.each([
  [1, 1],
  [3, 4],
  [4, 3],
  [5, 9],
])('matrices of %i rows and %i columns are turned round, each of several', (rows, columns) => {
  const expected = Array.from({ length: columns * rows }, (_, at) => (at % rows) * columns + Math.floor(at / rows))
  expect(transposeMatrix(matrix(rows, columns))).toMatchObject({ shape: [columns, rows] })
  expect(toNumbers(transposeMatrix(matrix(rows, columns)))).toEqual(expected)
  const two = hostFrom(
    'float32',
    [2, rows, columns],
    [...toNumbers(matrix(rows, columns)), ...toNumbers(matrix(rows, columns, 100))],
  )
  expect(toNumbers(transposeMatrix(two))).toEqual([...expected, ...expected.map(x => x + 100)])
})

it('a stack is read part by part, and comes apart again', async () => {
  const parts = [matrix(2, 3), matrix(2, 3, 10)]
  const stack = await readStack(2, i => Promise.resolve(parts[i]), false)
  expect(stack.shape).toEqual([2, 2, 3])
  expect(unstackTensor(stack).map(toNumbers)).toEqual(parts.map(toNumbers))
  const turned = await readStack(2, i => Promise.resolve(parts[i]), true)
  expect(turned.shape).toEqual([2, 3, 2])
  expect(unstackTensor(turned).map(toNumbers)).toEqual(parts.map(part => toNumbers(transposeMatrix(part))))
  await expect(readStack(2, i => Promise.resolve(i === 0 ? parts[0] : matrix(3, 2)), false)).rejects.toThrow(
    'cannot stack float32[3,2] on float32[2,3]',
  )
  const mixed = [...parts.map(part => castHost(part, 'bfloat16')), castHost(parts[0], 'float16'), parts[1]]
  for (const order of [mixed, mixed.toReversed()]) {
    const wide = await readStack(4, i => Promise.resolve(order[i]), false)
    expect(wide.dtype).toBe('float32')
    expect(unstackTensor(wide).map(toNumbers)).toEqual(order.map(toNumbers))
  }
  await expect(
    readStack(2, i => Promise.resolve(i === 0 ? parts[0] : castHost(parts[1], 'int32')), false),
  ).rejects.toThrow('cannot stack int32[2,3] on float32[2,3]')
})
