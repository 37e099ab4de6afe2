import { describe, expect, it } from 'vitest'
import { hostFrom } from '../../base/host-tensor.js'
import { interpret } from '../compile/reference/interpret.js'
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

  it('keeps the order of additions, which decides how sums round', () => {
    const large = hostFrom('float32', [1], [2 ** 24])
    const scattered = (x: Value): Value =>
      ops.scatterAdd(
        ops.full([1], 0, 'float32'),
        ops.full([4, 1], 0, 'int32'),
        ops.broadcastInDim(ops.sub(x, 2 ** 24 - 1), [4], [0]),
        { axes: [0], batchDims: 0, mode: 'clip' },
      )
    const program = traceClosed([aval('float32', [1])], ([x]) => [
      ops.add(x, scattered(x)),
      ops.add(ops.add(x, 1), 1),
      ops.sub(ops.add(x, 1), x),
    ])
    const results = interpret(simplify(program), [large]).map(y => y.data[0])
    expect(results).toEqual(interpret(program, [large]).map(y => y.data[0]))
    expect(results).toEqual([2 ** 24 + 4, 2 ** 24, 0])
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
