import { expect, it } from 'vitest'
import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { jit } from '../engine/api/jit.js'
import { grad, makeProgram } from '../engine/api/transforms.js'
import { interpret } from '../engine/compile/reference/interpret.js'
import { smoothedCrossEntropy, softmaxCrossEntropy } from './cross-entropy.js'

const logits = np.array([
  [1, 2, 3, -1],
  [0.5, -2, 100, 1],
])
const targets = np.array([2, 0], 'int32')

const cases: [string, (x: Tensor, t: Tensor) => Tensor][] = [
  ['loss', (x, t) => softmaxCrossEntropy(x, t).loss],
  ['logZ', (x, t) => softmaxCrossEntropy(x, t).logZ],
  [
    'gradient',
    (x, t) =>
      grad((y: Tensor) => {
        const { loss, logZ } = softmaxCrossEntropy(y, t)
        return np.sum(np.add(np.multiply(loss, np.subtract(np.astype(t, 'float32'), 1)), np.multiply(logZ, 0.1)))
      })(x),
  ],
]

it.each(cases)('%s: the fast path agrees with the formula', async (_, f) => {
  const program = makeProgram(f)(logits, targets)
  const [expected] = interpret(program, [await logits.data(), await targets.data()])
  const actual = await jit(f)(logits, targets).numbers()
  Array.from(expected.data as Float32Array).forEach((e, i) => expect(actual[i]).toBeCloseTo(e, 4))
})

it('is -log p and log(sum(exp)), and its gradient p - onehot', async () => {
  const { loss, logZ } = softmaxCrossEntropy(np.array([[0, 0]]), np.array([1], 'int32'))
  expect([await loss.item(), await logZ.item()]).toEqual([
    expect.closeTo(Math.log(2), 6),
    expect.closeTo(Math.log(2), 6),
  ])
  const slope = grad((y: Tensor) => np.sum(softmaxCrossEntropy(y, np.array([1], 'int32')).loss))(np.array([[0, 0]]))
  expect(await slope.numbers()).toEqual([0.5, -0.5])
})

it('with label smoothing, is the cross entropy with the smoothed targets minus their entropy, as in T5X', async () => {
  const x = [
    [1, 2, 3, -1],
    [0.5, -2, 4, 1],
  ]
  const smoothing = 0.1
  /** T5X's formula, with the smoothed distribution written out, in float64. */
  const expected = x.map((row, i) => {
    const logZ = Math.log(row.reduce((sum, l) => sum + Math.exp(l), 0))
    const soft = row.map((_, c) => (c === [2, 0][i] ? 1 - smoothing : smoothing / 3))
    const entropy = -soft.reduce((sum, p) => sum + p * Math.log(p), 0)
    return -row.reduce((sum, l, c) => sum + soft[c] * (l - logZ), 0) - entropy
  })
  const { loss } = smoothedCrossEntropy(np.array(x), targets, smoothing)
  ;(await loss.numbers()).forEach((value, i) => expect(value).toBeCloseTo(expected[i], 5))
  // At the smoothed distribution itself, the loss is 0 and so is its gradient.
  const best = np.log(np.array([[0.9, 0.1 / 3, 0.1 / 3, 0.1 / 3]]))
  const atBest = (y: Tensor): Tensor => np.sum(smoothedCrossEntropy(y, np.array([0], 'int32'), smoothing).loss)
  expect(await atBest(best).item()).toBeCloseTo(0, 6)
  ;(await grad(atBest)(best).numbers()).forEach(slope => expect(slope).toBeCloseTo(0, 6))
})
