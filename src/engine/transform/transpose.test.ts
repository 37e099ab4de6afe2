import { describe, expect, it } from 'vitest'
import { aval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import { traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { transposeEval } from './transpose.js'

describe('transposeEval', () => {
  it('adds the rows of a table that is read twice to one cotangent', () => {
    const [table, rows, read] = [aval('float32', [5, 2]), aval('int32', [3, 1]), aval('float32', [3, 2])]
    const params = { axes: [0], batchDims: 0, mode: 'fill' } as const
    const reads = traceClosed([table, rows, rows], ([x, first, second]) => [
      ops.gather(x, first, params),
      ops.gather(x, second, params),
    ])
    const transposed = traceClosed([rows, rows, read, read], ([first, second, ct1, ct2]: Value[]) => [
      transposeEval(reads, [null, first, second], [ct1, ct2])[0]!,
    ])
    expect(String(transposed)).toMatchInlineSnapshot(`
      "{ lambda a:i32[3,1] b:i32[3,1] c:f32[3,2] d:f32[3,2] ; let
          e:f32[5,2] = broadcastInDim[shape=(5,2) dims=()] 0:f32[]
          f:f32[5,2] = scatterAdd[axes=(0) batchDims=0 mode=drop] e b d
          g:f32[5,2] = scatterAdd[axes=(0) batchDims=0 mode=drop] f a c
        in (g) }"
    `)
  })
})
