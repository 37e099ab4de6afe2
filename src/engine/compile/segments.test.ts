import { describe, expect, it } from 'vitest'
import { aval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import { traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { simplify } from '../transform/simplify.js'
import { cutUpdate } from './segments.js'
import { loopLimits } from './wasm/codegen.js'

const cut = (donated: boolean[], f: (...xs: Value[]) => Value[], shapes = [[4], [4], []]) => {
  const program = simplify(
    traceClosed(
      shapes.map(s => aval('float32', s)),
      xs => f(...xs),
    ),
  )
  return { program, ...cutUpdate(program, donated, loopLimits) }
}
const scaled = (x: Value, s: Value): Value => ops.mul(x, ops.broadcastInDim(s, x.shape, []))

describe('cutUpdate', () => {
  it('puts an element-wise update of donated state into a loop that writes in place', () => {
    const { program, main, loops } = cut([true, false, false], (p, x, rate) => {
      const gradient = ops.exp(ops.mul(p, x))
      return [ops.sub(p, scaled(gradient, rate)), ops.reduceSum(gradient, [0])]
    })
    expect(String(main)).toMatchInlineSnapshot(`
      "{ lambda a:f32[4] b:f32[4] c:f32[] ; let
          d:f32[4] = mul a b
          e:f32[4] = exp d
          f:f32[] = reduceSum[axes=(0)] e
        in (f, e) }"
    `)
    expect(loops.map(l => String(l.program))).toMatchInlineSnapshot(`
      [
        "{ lambda a:f32[] b:f32[4] c:f32[4] ; let
          d:f32[4] = broadcastInDim[shape=(4) dims=()] a
          e:f32[4] = mul b d
          f:f32[4] = sub c e
        in (f) }",
      ]
    `)
    expect(loops[0].inPlace).toEqual([program.inputs[0]])
  })

  it('cuts nothing where nothing is donated, or the result is read again', () => {
    const update = (p: Value, x: Value): Value => ops.sub(p, x)
    expect(cut([false, false, false], (p, x) => [update(p, x)]).loops).toEqual([])
    expect(cut([true, false, false], (p, x) => [ops.reduceSum(update(p, x), [0])]).loops).toEqual([])
  })

  it('computes again what the loop can make from what it reads', () => {
    const { main, loops } = cut([true, false, false], (p, x) => {
      const gradient = ops.exp(ops.add(p, x))
      const square = ops.mul(gradient, gradient)
      return [ops.sub(p, ops.add(gradient, square)), ops.reduceSum(square, [0])]
    })
    expect(loops[0].inputs.length).toBe(2)
    expect(loops[0].program.equations.map(e => e.primitive)).toEqual(['mul', 'add', 'sub'])
    expect(main.outputs).toHaveLength(2)
  })

  it('keeps a value that both a loop and the first part fill', () => {
    const { main, loops } = cut([true, false, false], (p, x, rate) => [
      ops.mul(p, ops.broadcastInDim(rate, [4], [])),
      ops.exp(scaled(x, rate)),
    ])
    expect(loops).toHaveLength(1)
    expect(main.equations.map(e => e.primitive)).toEqual(['broadcastInDim', 'mul', 'exp'])
  })

  it('makes no loop that is larger than a backend can run', () => {
    const shapes = (n: number): number[][] => Array.from({ length: n }, () => [4])
    const donated = (n: number): boolean[] => Array.from({ length: n }, () => true)
    const sum = (...xs: Value[]): Value[] => [xs.reduce((a, b) => ops.add(a, b))]
    expect(cut(donated(800), sum, shapes(800)).loops).toHaveLength(1)
    expect(cut(donated(1100), sum, shapes(1100)).loops).toHaveLength(0)
    const deep = (p: Value): Value[] => [shapes(2500).reduce(x => ops.sqrt(x), p)]
    expect(cut([true], deep, [[4]]).loops).toHaveLength(0)
  })

  it('cuts an update of many arrays, connected in a long line, without deep recursion', () => {
    const n = 10_000
    const shapes = Array.from({ length: 2 * n }, () => [4])
    const each = cut(
      shapes.map((_, i) => i < n),
      (...xs) => xs.slice(0, n).map((p, i) => ops.sub(p, xs[n + i])),
      shapes,
    )
    expect(each.loops).toHaveLength(n)
    const line = cut([true], p => [shapes.reduce(x => ops.neg(ops.abs(x)), p)], [[4]])
    expect(line.loops).toHaveLength(0)
  })
})
