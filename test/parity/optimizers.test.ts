import { beforeAll, describe, expect, it } from 'vitest'
import { leavesWithPaths } from '../../src/base/pytree.js'
import { toNumbers } from '../../src/base/host-tensor.js'
import type { HostTensor } from '../../src/base/host-tensor.js'
import type { Tensor } from '../../src/engine/api/tensor.js'
import { jit } from '../../src/engine/api/jit.js'
import * as np from '../../src/engine/api/np.js'
import type { TensorTree } from '../../src/engine/api/tracing.js'
import { adafactor } from '../../src/train/optimizers/adafactor.js'
import { makeSchedule } from '../../src/train/optimizers/schedules.js'
import { loadFixture, readJson, treeOf, worstDifference } from './t5x-fixtures.js'

describe("Adafactor is T5X's", () => {
  const cases = [
    { file: 'adafactor_shapes', learningRate: 0.05, init: ['adafactor_shapes.safetensors', 'init/params/'] },
    { file: 'adafactor_model', learningRate: 0.01, init: ['params.safetensors', ''] },
  ] as const
  it.each(cases)('$file, after 1 and 3 steps', async ({ file, learningRate, init }) => {
    const expected = await loadFixture(`${file}.safetensors`)
    const axes =
      file === 'adafactor_shapes'
        ? Object.entries(readJson<Record<string, { axes: string[] }>>('adafactor_shapes.json')).map(
            ([path, spec]) => [path, spec.axes] as const,
          )
        : Object.entries(readJson<Record<string, string[]>>('param_axes.json'))
    let params = treeOf(await loadFixture(init[0]), init[1])
    const shapes = new Map(leavesWithPaths<Tensor>(params).map(([path, { shape }]) => [path, shape]))
    const optimizer = adafactor(axes.map(([path, names]) => ({ path, shape: shapes.get(path)!, axes: names })))
    let state = optimizer.init(params)
    const update = jit(optimizer.update<TensorTree, TensorTree>)
    for (let step = 0; step < 3; step++) {
      const gradients = treeOf(expected, `grad${step}/`)
      ;({ params, state } = update(gradients, state, params, {
        learningRate: np.array(learningRate),
        step: np.array(step),
      }))
      if (step === 1) continue
      expect(await worstDifference(params, expected, `after${step + 1}/params/`)).toBeLessThan(1e-6)
      expect(await worstDifference(state, expected, `after${step + 1}/state/`)).toBeLessThan(1e-6)
    }
  })
})

describe("learning rate schedules are T5X's", () => {
  let expected: Map<string, HostTensor>
  beforeAll(async () => {
    expected = await loadFixture('lr_schedules.safetensors')
  })

  it.each([
    ['default', { kind: 'inverseSquareRoot', scale: 0.5, decayFrom: 1000, warmupSteps: 1000 }],
    ['pretrain', { kind: 'inverseSquareRoot', scale: 1, decayFrom: 10000, warmupSteps: 0 }],
  ] as const)('%s', (name, config) => {
    const schedule = makeSchedule(config, 1_000_000)
    toNumbers(expected.get('steps')!).forEach((step, i) => {
      const rate = toNumbers(expected.get(name)!)[i]
      expect(Math.abs(schedule(step) / rate - 1)).toBeLessThan(1e-6)
    })
  })
})
