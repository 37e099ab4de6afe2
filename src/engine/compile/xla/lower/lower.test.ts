import { expect, it } from 'vitest'
import * as ops from '../../../program/ops.js'
import { bind, traceClosed } from '../../../program/trace.js'
import type { Value } from '../../../program/value.js'
import { toStableHlo } from './lower.js'

const matrix = { dtype: 'float32', shape: [4, 4] } as const
const product = (x: Value, y: Value): Value => ops.dotGeneral(x, y, { contract: [[1], [0]], batch: [[], []] })
const count = (text: string, part: string): number => text.split(part).length - 1

it('writes one function for equal composites', () => {
  const twice = (): ReturnType<typeof traceClosed> => traceClosed([matrix], ([x]) => [ops.add(x, x)])
  const apply = (x: Value): Value => bind('composite', [x], { name: 'twice', program: twice() })[0]
  const text = toStableHlo(traceClosed([matrix], ([x]) => [apply(apply(x))]))
  expect(count(text, 'func.func private @twice')).toBe(1)
  expect(count(text, '"func.call"')).toBe(2)
})

it('writes a scan as a loop, however long it is', () => {
  const scalar = { dtype: 'float32', shape: [] } as const
  const body = traceClosed([scalar, scalar], ([c, x]) => [ops.add(c, x), ops.mul(c, x)])
  const params = { body, numConsts: 0, numCarry: 1, length: 1000, reverse: false }
  const program = traceClosed([scalar, { dtype: 'float32', shape: [1000] }], ([c, xs]) => bind('scan', [c, xs], params))
  const text = toStableHlo(program)
  expect(count(text, 'stablehlo.while')).toBe(1)
  expect(count(text, 'stablehlo.add')).toBe(2)
})

it('gives the memory of donated inputs to the results of their type in order, and what is left to XLA', () => {
  const program = traceClosed([matrix, matrix, matrix, { dtype: 'float32', shape: [] }], ([a, b, c, d]) => [
    ops.add(a, c),
    d,
    ops.add(b, c),
  ])
  const [main] = toStableHlo(program, { donated: [true, true, true, false] }).match(/@main.*/)!
  expect(main.match(/\{.*?\}/g)).toEqual([
    '{tf.aliasing_output = 0 : i32}',
    '{tf.aliasing_output = 2 : i32}',
    '{jax.buffer_donor = true}',
  ])
})

it('lets the update of a donated weight wait for the products that read it', () => {
  const step = traceClosed([matrix, matrix], ([weight, x]) => {
    const y = product(x, weight)
    const ofWeight = product(y, y)
    const ofInput = product(weight, y)
    return [ops.sub(weight, ofWeight), ofInput]
  })
  const barriers = (donated: readonly boolean[]): string[] =>
    toStableHlo(step, { donated }).match(/.*optimization_barrier.*/g) ?? []
  expect(barriers([false, false])).toEqual([])
  // The weight, and the gradient of the input: the first product comes before the update anyway.
  expect(barriers([true, false])).toHaveLength(1)
  expect(barriers([true, false])[0]).toContain('"stablehlo.optimization_barrier"(%0, %4)')
})

it('writes numbers with all of their digits', () => {
  const values = [0.1, -0, 1e-7, 2 ** 70, NaN, Infinity, -Infinity]
  const text = toStableHlo(traceClosed([], () => values.map(v => ops.full([], v, 'float32'))))
  const digits = [
    '0.10000000149011612',
    '-0.0',
    '1.0000000116860974e-7',
    '1.1805916207174113e+21',
    '0x7FC00000',
    '0x7F800000',
  ]
  for (const number of [...digits, '0xFF800000']) expect(text).toContain(`dense<${number}>`)
})
