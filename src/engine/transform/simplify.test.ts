import { describe, expect, it } from 'vitest'
import { aval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import { bind, traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { simplify } from './simplify.js'

const matrix = aval('float32', [2, 3])
const simplified = (f: (...xs: Value[]) => Value[], avals = [matrix]): string =>
  String(simplify(traceClosed(avals, xs => f(...xs))))

describe('simplify', () => {
  it('drops what no output needs, and identities', () => {
    expect(
      simplified(x => {
        ops.exp(x)
        return [ops.neg(ops.neg(ops.mul(ops.add(x, 0), 1)))]
      }),
    ).toMatchInlineSnapshot(`
      "{ lambda a:f32[2,3] ; let
        in (a) }"
    `)
  })

  it('computes equal equations once, but not behind a barrier', () => {
    expect(simplified(x => [ops.add(ops.sin(x), ops.sin(x)), ops.sin(ops.optimizationBarrier(x))]))
      .toMatchInlineSnapshot(`
      "{ lambda a:f32[2,3] ; let
          b:f32[2,3] = sin a
          c:f32[2,3] = add b b
          d:f32[2,3] = optimizationBarrier a
          e:f32[2,3] = sin d
        in (c, e) }"
    `)
  })

  it('adds updates to what a scattered array of zeros would be added to', () => {
    const rows = aval('int32', [4, 1])
    const scattered = (index: Value, updates: Value): Value =>
      ops.scatterAdd(ops.full([2, 3], 0, 'float32'), index, updates, { axes: [0], batchDims: 0, mode: 'clip' })
    expect(
      simplified(
        (x, index, updates) => [ops.add(scattered(index, updates), x)],
        [matrix, rows, aval('float32', [4, 3])],
      ),
    ).toMatchInlineSnapshot(`
      "{ lambda a:f32[2,3] b:i32[4,1] c:f32[4,3] ; let
          d:f32[2,3] = scatterAdd[axes=(0) batchDims=0 mode=clip] a b c
        in (d) }"
    `)
  })

  it('takes a side of a choice whose condition is known', () => {
    const always = (value: number): Value => ops.full([2, 3], value, 'bool')
    expect(
      simplified(x => [
        ops.select(always(1), x, ops.sin(x)),
        ops.select(always(0), ops.sin(x), x),
        ops.select(always(0), x, ops.full([2, 3], 1, 'float32')),
      ]),
    ).toMatchInlineSnapshot(`
      "{ lambda a:f32[2,3] ; let
          b:f32[2,3] = broadcastInDim[shape=(2,3) dims=()] 1:f32[]
        in (a, a, b) }"
    `)
  })

  it('inlines calls', () => {
    const program = traceClosed([matrix], ([x]) => [ops.exp(x)])
    expect(simplified(x => bind('call', [x], { name: 'f', program, remat: false }))).toMatchInlineSnapshot(`
      "{ lambda a:f32[2,3] ; let
          b:f32[2,3] = exp a
        in (b) }"
    `)
  })

  it('writes a program that is called twice twice', () => {
    const program = traceClosed([matrix], ([x]) => [ops.exp(x)])
    const call = (x: Value): Value => bind('call', [x], { name: 'f', program, remat: false })[0]
    expect(simplified(x => [call(x), call(call(x))])).toMatchInlineSnapshot(`
      "{ lambda a:f32[2,3] ; let
          b:f32[2,3] = exp a
          c:f32[2,3] = exp b
        in (b, c) }"
    `)
  })

  it('converts constants as they are in their own type', () => {
    expect(simplified(() => [ops.convertElementType(ops.full([], 0.1, 'bfloat16'), 'float32')], []))
      .toMatchInlineSnapshot(`
      "{ lambda  ; let
        in (0.10009765625:f32[]) }"
    `)
  })

  it('lets moves of data cancel', () => {
    expect(simplified(x => [ops.transpose(ops.transpose(x, [1, 0]), [1, 0]), ops.reshape(ops.reshape(x, [6]), [3, 2])]))
      .toMatchInlineSnapshot(`
      "{ lambda a:f32[2,3] ; let
          b:f32[3,2] = reshape[shape=(3,2)] a
        in (a, b) }"
    `)
  })

  it('reads operands of a product where they stand, and turns the product round instead of its result', () => {
    const product = (x: Value, y: Value): Value => ops.dotGeneral(x, y, { contract: [[1], [0]], batch: [[], []] })
    expect(
      simplified(
        (x, y) => [ops.transpose(product(x, ops.transpose(y, [1, 0])), [1, 0])],
        [matrix, aval('float32', [4, 3])],
      ),
    ).toMatchInlineSnapshot(`
      "{ lambda a:f32[2,3] b:f32[4,3] ; let
          c:f32[4,2] = dotGeneral[contract=((1),(1)) batch=((),())] b a
        in (c) }"
    `)
  })
})
