import { describe, expect, it } from 'vitest'
import { leavesWithPaths, treeFromPaths } from '../../base/pytree.js'
import type { Tensor } from '../../engine/api/tensor.js'
import { jit } from '../../engine/api/jit.js'
import * as np from '../../engine/api/np.js'
import type { TensorTree } from '../../engine/api/tracing.js'
import { adafactor } from '../optimizers/adafactor.js'
import { adamW } from '../optimizers/adamw.js'
import type { Optimizer } from '../optimizers/optimizer.js'
import { parseRate } from './config.js'
import { rateFactor, withRates } from './rates.js'

const paths = ['encoder/wi/kernel', 'encoder/wo/kernel', 'decoder/wi/kernel']
const tree = (scale: number): TensorTree =>
  treeFromPaths(
    paths.map((path, i) => [
      path,
      np.array([
        [scale * (i + 1), -scale],
        [0.5 * scale, i],
      ]),
    ]),
  )

/** The parameters after two updates, with a learning rate. */
async function updated(optimizer: Optimizer, learningRate: number): Promise<Record<string, number[]>> {
  const update = jit((params: TensorTree, state: TensorTree, step: Tensor) =>
    optimizer.update(tree(0.1), state, params, { learningRate: np.array(learningRate), step }),
  )
  let [params, state] = [tree(1), jit((p: TensorTree) => optimizer.init(p))(tree(1))]
  for (const step of [0, 1]) ({ params, state } = update(params, state, np.array(step)))
  const leaves = leavesWithPaths<Tensor>(params)
  return Object.fromEntries(await Promise.all(leaves.map(async ([path, x]) => [path, await x.numbers()] as const)))
}

const rates = ['encoder=0.5', 'encoder/wo=2'].map(text => parseRate(text)!)
const specs = paths.map(path => ({ path, shape: [2, 2], axes: ['embed', 'mlp'] }))

describe('learning rates by group', () => {
  it('the last rule that matches a path decides', () => {
    expect(paths.map(path => rateFactor(rates, path))).toEqual([0.5, 2, 1])
  })

  it.each([
    ['Adam', () => adamW({ weightDecay: 0.1 })],
    ['Adafactor', () => adafactor(specs)],
  ])('%s updates each group as if its whole learning rate were the factor times as large', async (_, make) => {
    const grouped = await updated(withRates(make(), rates), 0.01)
    for (const [i, factor] of [0.5, 2, 1].entries())
      expect(grouped[paths[i]]).toEqual((await updated(make(), 0.01 * factor))[paths[i]])
  })

  it('names the state that parameters share', async () => {
    const counting: Optimizer = {
      name: 'counting',
      init: () => ({ count: np.zeros([]) }),
      update: (_, state, params) => ({ params, state }),
    }
    await expect(updated(withRates(counting, rates), 0.01)).rejects.toThrow(
      'train.rates needs an optimizer whose state belongs to single parameters, but the optimizer counting has count',
    )
  })

  it('reads rules in text form', () => {
    expect(parseRate('encoder/layers_*=0.1')).toEqual({ path: 'encoder/layers_*', factor: 0.1 })
    for (const wrong of ['encoder', 'encoder=0', 'encoder=-1', 'encoder=x', '=1', 'a=1=2'])
      expect(parseRate(wrong), wrong).toBeUndefined()
  })
})
