import { expect, it } from 'vitest'
import { localCommunicators } from '../../../../test/processes/local-job.js'
import { hostFrom, sizeOf, toNumbers } from '../../../base/host-tensor.js'
import * as ops from '../../program/ops.js'
import { Mesh } from '../../program/sharding.js'
import { traceClosed } from '../../program/trace.js'
import { runCollectives } from './collectives.js'
import { Place } from './place.js'

it('small sums over the same processes are one message, and large ones are not copied', async () => {
  const mesh = new Mesh({ data: 2, expert: 2 })
  const [data, expert] = mesh.axes
  const types = [[3], [2, 2], [70_000], [], [5]].map(shape => ({ dtype: 'float32' as const, shape }))
  const { equations } = traceClosed(types, ([a, b, large, scalar, e]) => [
    ops.psum(a, [data]),
    ops.psum(e, [expert]),
    ops.psum(large, [data]),
    ops.psum(b, [data]),
    ops.psum(scalar, [data]),
  ])
  const operandOf = [0, 4, 2, 1, 3]
  const results = await Promise.all(
    localCommunicators(4).map(async communicator => {
      const lengths: number[] = []
      const counted: typeof communicator = {
        ...communicator,
        reduce: (array, how, group) => {
          lengths.push(array.length)
          return communicator.reduce(array, how, group)
        },
      }
      const collectives = equations.map((equation, i) => {
        const { dtype, shape } = types[operandOf[i]]
        const numbers = Array.from({ length: sizeOf(shape) }, (_, n) => (n % 97) + 100 * communicator.rank + i)
        return { equation, operand: hostFrom(dtype, shape, numbers) }
      })
      return { lengths, sums: await runCollectives(collectives, new Place(mesh, counted)) }
    }),
  )
  for (const [rank, { lengths, sums }] of results.entries()) {
    expect(lengths).toEqual([3 + 4 + 1, 5, 70_000])
    expect(sums.map(s => s.shape)).toEqual(operandOf.map(i => types[i].shape))
    sums.forEach((sum, i) => {
      const other = i === 1 ? rank ^ 1 : rank ^ 2
      const expected = Array.from({ length: sum.data.length }, (_, n) => 2 * ((n % 97) + i) + 100 * (rank + other))
      expect(toNumbers(sum)).toEqual(expected)
    })
  }
})
