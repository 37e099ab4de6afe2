import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { leavesWithPaths, treeFromPaths } from '../../src/base/pytree.js'
import { toNumbers } from '../../src/base/tensor.js'
import type { HostTensor } from '../../src/base/tensor.js'
import { readTensors } from '../../src/checkpoint/format.js'
import { safetensors } from '../../src/checkpoint/safetensors.js'
import type { Array } from '../../src/engine/api/array.js'
import * as np from '../../src/engine/api/np.js'
import type { ArrayTree } from '../../src/engine/api/tracing.js'
import { adafactor } from '../../src/train/optimizers/adafactor.js'
import { makeSchedule } from '../../src/train/optimizers/schedules.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/t5x/${name}`, import.meta.url))
const json = <T>(name: string): T => JSON.parse(readFileSync(fixture(name), 'utf8')) as T

async function load(name: string): Promise<Map<string, HostTensor>> {
  const reader = await safetensors.open(fixture(name))
  try {
    return await readTensors(reader)
  } finally {
    await reader.close()
  }
}

/** The tensors under a prefix, as a tree of arrays. */
const treeOf = (tensors: ReadonlyMap<string, HostTensor>, prefix: string): ArrayTree =>
  treeFromPaths([...tensors].filter(([name]) => name.startsWith(prefix)).map(([name, tensor]) => [name.slice(prefix.length), np.fromHost(tensor)]))

/** The largest difference, relative to the largest expected magnitude of the tensor. */
function relativeDifference(actual: readonly number[], expected: readonly number[]): number {
  expect(actual.length).toBe(expected.length)
  const scale = Math.max(...expected.map(Math.abs), 1e-30)
  return Math.max(...actual.map((a, i) => Math.abs(a - expected[i]))) / scale
}

async function worstDifference(actual: ArrayTree, expected: ReadonlyMap<string, HostTensor>, prefix: string): Promise<number> {
  let worst = 0
  for (const [path, array] of leavesWithPaths<Array>(actual)) {
    const tensor = expected.get(prefix + path)
    expect(tensor, path).toBeDefined()
    expect(array.shape, path).toEqual(tensor!.shape)
    worst = Math.max(worst, relativeDifference(await array.numbers(), toNumbers(tensor!)))
  }
  return worst
}

describe('Adafactor is T5X\'s', () => {
  const cases = [
    { file: 'adafactor_shapes', learningRate: 0.05, init: ['adafactor_shapes.safetensors', 'init/params/'] },
    { file: 'adafactor_model', learningRate: 0.01, init: ['params.safetensors', ''] },
  ] as const
  it.each(cases)('$file, after 1 and 3 steps', async ({ file, learningRate, init }) => {
    const expected = await load(`${file}.safetensors`)
    const axes = file === 'adafactor_shapes'
      ? Object.entries(json<Record<string, { axes: string[] }>>('adafactor_shapes.json')).map(([path, spec]) => [path, spec.axes] as const)
      : Object.entries(json<Record<string, string[]>>('param_axes.json'))
    let params = treeOf(await load(init[0]), init[1])
    const shapes = new Map(leavesWithPaths<Array>(params).map(([path, { shape }]) => [path, shape]))
    const optimizer = adafactor(axes.map(([path, names]) => ({ path, shape: shapes.get(path)!, axes: names })))
    let state = optimizer.init(params)
    for (let step = 0; step < 3; step++) {
      const gradients = treeOf(expected, `grad${step}/`)
      ;({ params, state } = optimizer.update(gradients, state, params, { learningRate: np.array(learningRate), step: np.array(step) }))
      if (step === 1) continue
      expect(await worstDifference(params, expected, `after${step + 1}/params/`)).toBeLessThan(1e-6)
      expect(await worstDifference(state, expected, `after${step + 1}/state/`)).toBeLessThan(1e-6)
    }
  })
})

describe('learning rate schedules are T5X\'s', () => {
  let expected: Map<string, HostTensor>
  beforeAll(async () => { expected = await load('lr_schedules.safetensors') })

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
