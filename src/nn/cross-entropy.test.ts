import { expect, it } from 'vitest'
import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { jit } from '../engine/api/jit.js'
import { grad, makeProgram } from '../engine/api/transforms.js'
import { interpret } from '../engine/compile/reference/interpret.js'
import { softmaxCrossEntropy } from './cross-entropy.js'

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
