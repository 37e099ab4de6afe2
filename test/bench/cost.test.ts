import { expect, it } from 'vitest'
import { peakIntermediateBytes } from '../../bench/cost.js'
import { productFlops } from '../../src/engine/program/cost.js'
import { aval } from '../../src/engine/program/aval.js'
import * as ops from '../../src/engine/program/ops.js'
import { bind, traceClosed } from '../../src/engine/program/trace.js'

const x = aval('float32', [2, 3])

it('counts two operations for each output element and contracted element of a matrix product, for any axes', () => {
  const program = traceClosed([aval('float32', [7, 2, 3]), aval('float32', [5, 3, 7])], ([a, b]) => [
    ops.exp(ops.dotGeneral(a, b, { contract: [[2], [1]], batch: [[0], [2]] })),
  ])
  expect(productFlops(program)).toBe(2 * 7 * 2 * 5 * 3)
})

it("counts a scan's body each time", () => {
  const body = traceClosed([x], ([a]) => [
    ops.mul(
      a,
      ops.broadcastInDim(
        ops.dotGeneral(a, a, {
          contract: [
            [0, 1],
            [0, 1],
          ],
          batch: [[], []],
        }),
        [2, 3],
        [],
      ),
    ),
  ])
  const program = traceClosed([x], ([a]) =>
    bind('scan', [a], { body, numConsts: 0, numCarry: 1, length: 10, reverse: false }),
  )
  expect(productFlops(program)).toBe(10 * 2 * 6)
})

it('finds the most bytes that are alive at once', () => {
  // exp(x) lives until it is read again at the end; each negation dies as the next is made.
  const program = traceClosed([x], ([a]) => {
    const kept = ops.exp(a)
    return [ops.mul(kept, ops.neg(ops.neg(ops.neg(kept))))]
  })
  expect(peakIntermediateBytes(program)).toBe(3 * 24)
})

it('gives views no memory', () => {
  const program = traceClosed([x], ([a]) => [ops.reduceSum(ops.broadcastInDim(a, [100, 2, 3], [1, 2]), [0])])
  expect(peakIntermediateBytes(program)).toBe(0)
})
