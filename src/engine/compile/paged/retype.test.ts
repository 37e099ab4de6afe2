import { describe, expect, it } from 'vitest'
import { aval } from '../../program/aval.js'
import type { Aval } from '../../program/aval.js'
import * as ops from '../../program/ops.js'
import type { Atom, Program } from '../../program/program.js'
import { traceClosed } from '../../program/trace.js'
import type { Value } from '../../program/value.js'
import { retyper } from './retype.js'

const typesIn = ({ inputs, equations, outputs }: Program): Aval[] =>
  [...inputs, ...equations.flatMap(e => e.outputs), ...outputs].map(v => v.aval)

describe('retyper', () => {
  it('gives the types of a traced program, with the same equations', () => {
    const traced = (batch: number, length: number, other: number): Program =>
      traceClosed([aval('float32', [batch, length, 4]), aval('int32', [5, other])], ([x, y]: Value[]) => {
        const flat = ops.reshape(x, [batch * length, 4])
        const last = ops.slice(x, [0, 1, 0], [batch, length, 4])
        return [ops.add(flat, 1), ops.transpose(last, [2, 0, 1]), ops.reshape(x, [batch * 2, length, 2]), y]
      })
    const retyped = retyper([traced(3, 5, 7), traced(101, 103, 107), traced(1009, 1013, 1019)])!
    for (const sizes of [
      [2, 8, 1],
      [1, 2, 30],
    ] as [number, number, number][]) {
      const expected = traced(...sizes)
      const actual = retyped(expected.inputs.map(v => v.aval))!
      expect(typesIn(actual)).toEqual(typesIn(expected))
      expect(actual.equations.map(e => e.primitive)).toEqual(expected.equations.map(e => e.primitive))
      const defined = new Set<Atom>([...actual.inputs, ...actual.equations.flatMap(e => e.outputs)])
      const read = [...actual.equations.flatMap(e => e.inputs), ...actual.outputs]
      expect(read.filter(a => a.aval.shape.length > 0 && !defined.has(a))).toEqual([])
    }
  })

  it('gives none if a length inside of the program has no formula, or a constant depends on sizes', () => {
    const mean = (n: number): Program =>
      traceClosed([aval('float32', [n])], ([x]: Value[]) => [ops.mul(ops.reduceSum(x, [0]), 1 / n)])
    expect(retyper([mean(3), mean(101), mean(1009)])).toBeNull()
    const half = (n: number): Program =>
      traceClosed([aval('float32', [n])], ([x]: Value[]) => [
        ops.reduceSum(ops.slice(x, [0], [Math.ceil(x.shape[0] / 2)]), [0]),
      ])
    expect(retyper([half(3), half(101), half(1009)])).toBeNull()
  })

  it('gives none at sizes where a length would be negative', () => {
    const rest = (n: number): Program =>
      traceClosed([aval('float32', [n])], ([x]: Value[]) => [ops.reduceSum(ops.slice(x, [2], [n]), [0])])
    const retyped = retyper([rest(3), rest(101), rest(1009)])!
    expect([0, 1, 2].map(n => retyped([aval('float32', [n])]) === null)).toEqual([true, true, false])
  })
})
