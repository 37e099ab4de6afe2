import { expect, it } from 'vitest'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import type { Tensor } from '../engine/api/tensor.js'
import { grad, makeProgram } from '../engine/api/transforms.js'
import { interpret } from '../engine/compile/reference/interpret.js'
import { distillationLoss } from './distillation.js'

const student = [
  [1, 2, 3, -1],
  [0.5, -2, 40, 1],
]
const teacher = [
  [2, 2, 0, 1],
  [-30, 1, 0.25, 4],
]

/** The probabilities of a row of logits at a temperature, in float64. */
function probabilities(logits: readonly number[], temperature: number): number[] {
  const exponentials = logits.map(x => Math.exp(x / temperature))
  const sum = exponentials.reduce((a, b) => a + b)
  return exponentials.map(x => x / sum)
}

const summed =
  (temperature: number) =>
  (s: Tensor, t: Tensor): Tensor =>
    np.sum(distillationLoss(s, t, temperature))

it.each([1, 2.5])('is KL(teacher || student) times T², with gradient T (q - p), at temperature %f', async T => {
  const [s, t] = [np.array(student), np.array(teacher)]
  const [q, p] = [student, teacher].map(rows => rows.map(row => probabilities(row, T)))
  const expected = p.map((row, i) => T * T * row.reduce((sum, x, c) => sum + x * Math.log(x / q[i][c]), 0))
  ;(await distillationLoss(s, t, T).numbers()).forEach((value, i) => expect(value).toBeCloseTo(expected[i], 4))
  const slopes = await grad((x: Tensor) => summed(T)(x, t))(s).numbers()
  slopes.forEach((slope, i) => expect(slope).toBeCloseTo(T * (q.flat()[i] - p.flat()[i]), 5))
})

it('compiled, agrees with the interpreter', async () => {
  const [s, t] = [np.array(student), np.array(teacher)]
  const f = (x: Tensor, y: Tensor): Tensor => grad((z: Tensor) => summed(2)(z, y))(x)
  const [expected] = interpret(makeProgram(f)(s, t), [await s.data(), await t.data()])
  const actual = await jit(f)(s, t).numbers()
  Array.from(expected.data, Number).forEach((e, i) => expect(actual[i]).toBeCloseTo(e, 5))
})

it('is 0 without a gradient where student and teacher agree', async () => {
  const s = np.array(student)
  expect(await summed(1)(s, s).item()).toBe(0)
  for (const slope of await grad((x: Tensor) => summed(1)(x, s))(s).numbers()) expect(slope).toBeCloseTo(0, 6)
})
