import { describe, expect, it } from 'vitest'
import type { DType } from '../../../src/base/dtypes.js'
import { ShapeError } from '../../../src/base/errors.js'
import { aval } from '../../../src/engine/program/aval.js'
import type { Aval } from '../../../src/engine/program/aval.js'
import type { PrimitiveName } from '../../../src/engine/program/primitives.js'
import { shapeOf } from '../../../src/engine/program/shapes.js'
import { Literal } from '../../../src/engine/program/value.js'
import { Broadcast, everyDType } from './case.js'
import type { Operand, PrimitiveCases } from './case.js'
import { cases } from './cases.js'

/** Primitives that carry programs, or that are deliberately tested with some dtypes only. */
const others: readonly PrimitiveName[] = [
  'call',
  'composite',
  'linearCall',
  'scan',
  'while',
  'cond',
  'shardMap',
  'threefry2x32',
]

const avalOf = (x: Operand): Aval =>
  x instanceof Broadcast ? aval(avalOf(x.of).dtype, x.shape) : x instanceof Literal ? x.aval : aval(x.dtype, x.shape)

describe('a dtype without conformance cases is refused by the shape rule', () => {
  const rest = Object.entries(cases).flatMap(([name, of]) => {
    const primitive = name as keyof typeof cases
    if (others.includes(primitive)) return []
    return everyDType.filter(d => !of.dtypes.includes(d)).map(dtype => ({ primitive, dtype }))
  })

  it.each(rest)('$primitive of $dtype', ({ primitive, dtype }) => {
    const of = cases[primitive] as PrimitiveCases
    const tested: DType = of.dtypes[0]
    for (const { operands, params } of of.cases(tested)) {
      const inputs = operands.map(avalOf).map(a => (a.dtype === tested ? aval(dtype, a.shape) : a))
      const withDType = 'dtype' in params ? { ...params, dtype } : params
      expect(() => shapeOf(primitive, inputs, withDType as never)).toThrow(ShapeError)
      expect(() => shapeOf(primitive, inputs, withDType as never)).toThrow(/choose|convert it first|not defined for/)
    }
  })
})
