import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hostFrom } from '../../../base/host-tensor.js'
import { aval } from '../../program/aval.js'
import * as ops from '../../program/ops.js'
import { traceClosed } from '../../program/trace.js'
import type { Value } from '../../program/value.js'
import { interpret } from '../reference/interpret.js'
import { Arena, Arenas, tensorOn } from './arena.js'
import { Loops } from './loop.js'

const floats = (a: ArrayLike<number>): number[] => Array.from(a)

describe('Loop', () => {
  const length = 7 // not a whole number of vectors
  const adam = traceClosed(
    [...Array(3).fill(aval('float32', [length])), aval('float32', [])],
    ([p, m, g, s]: Value[]) => {
      const rate = ops.broadcastInDim(s, [length], [])
      const m2 = ops.add(ops.mul(m, 0.9), ops.mul(ops.mul(g, g), 0.1))
      const step = ops.div(ops.mul(g, rate), ops.add(ops.sqrt(m2), 1e-8))
      return [
        ops.select(ops.gt(p, step), ops.sub(p, step), ops.max(ops.neg(p), ops.abs(step))),
        ops.mul(m2, ops.floor(m2)),
      ]
    },
  )

  it('computes what the interpreter does, bit for bit, in place', () => {
    const number = fc.float({ noNaN: true, min: -100, max: 100 })
    const row = fc.array(number, { minLength: length, maxLength: length })
    const loops = new Loops()
    fc.assert(
      fc.property(row, row, row, number, (p, m, g, s) => {
        const expected = interpret(
          adam,
          [p, m, g].map(x => hostFrom('float32', [length], x)).concat(hostFrom('float32', [], [s])),
        )
        const blocks = new Arenas().allocateTogether([28, 28, 28])
        blocks.forEach((b, i) => (tensorOn(b, [length], length).data as Float32Array).set([p, m, g][i]))
        loops.of(adam).run([length], [...blocks, blocks[0], blocks[1]], [s])
        expected.forEach((e, i) =>
          expect(floats(tensorOn(blocks[i], [length], length).data as Float32Array)).toEqual(
            floats(e.data as Float32Array),
          ),
        )
      }),
      { numRuns: 50 },
    )
  })

  it('compiles programs that differ in shape alone once', () => {
    const double = (n: number) => traceClosed([aval('float32', [n])], ([x]) => [ops.add(x, x)])
    const loops = new Loops()
    expect(loops.of(double(3))).toBe(loops.of(double(5)))
    expect(loops.of(double(3))).not.toBe(loops.of(traceClosed([aval('float32', [3])], ([x]) => [ops.mul(x, x)])))
  })
})

describe('Arena', () => {
  it('gives out blocks that do not overlap, and joins what comes back', () => {
    const arena = new Arena(1 << 20)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 40 }), sizes => {
        const blocks = sizes.map(n => arena.allocate(n)!)
        const sorted = blocks.toSorted((a, b) => a.offset - b.offset)
        sorted.forEach((b, i) => {
          if (i > 0) expect(sorted[i - 1].offset + sorted[i - 1].bytes).toBeLessThanOrEqual(b.offset)
        })
        blocks.forEach(b => arena.release(b))
      }),
    )
    expect(arena.allocate((1 << 20) - 64)).not.toBeNull()
    expect(arena.allocate(1)).toBeNull()
  })
})
