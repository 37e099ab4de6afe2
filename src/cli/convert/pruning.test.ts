import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { smallSizes } from '../../../test/small-model.js'
import { partOf } from '../../base/host-tensor.js'
import { newWeights } from '../../checkpoint/weights.js'
import { parseRunConfig } from '../../config/validate.js'
import { overrideConfig } from '../../config/overrides.js'
import { fittedConfig } from '../../config/fitted-config.js'
import { pairsTask } from '../../data/tasks/pairs.js'
import { preset } from '../../model/presets.js'
import { prunedModel } from '../../model/surgery/prune.js'
import { openWeights } from '../../open/open-weights.js'
import { Trainer } from '../../train/trainer.js'
import { prune, prunedWeights } from './pruning.js'

it('prune keeps the most used experts of a run, and prints the use and the quality before and after', async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'switchyard-prune-'))
  const printed = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
  try {
    const data = join(scratch, 'pairs.tsv')
    const lines = Array.from({ length: 40 }, (_, i) => `number ${i}\t${i % 2 === 0 ? 'even' : 'odd'}`)
    await writeFile(data, `${lines.join('\n')}\n`)
    const task = await pairsTask(data)
    const settings = ['model.dModel=8', 'model.dFf=16', 'model.numHeads=2', 'model.headDim=4', 'model.numExperts=4']
    const train = ['train.steps=2', 'train.rows=2', 'train.schedule.warmupSteps=0']
    const config = parseRunConfig(overrideConfig(fittedConfig(task), [...settings, ...train]))
    const run = join(scratch, 'run')
    await (await Trainer.begin(config, { task })).run(run)

    const folder = join(scratch, 'pruned')
    await prune(run, folder, { experts: 2, data, set: [] })
    const report = printed.mock.calls.flat().join('\n')
    expect(report).toMatch(/encoder\/layers_\d+ +\d, \d +[\d.]+% +[\d.]+%/)
    expect(report).toMatch(/before +4 .*\d\.\d{4}.*\nafter +2 .*\d\.\d{4}/)
    expect(report).toMatch(
      /the use was measured on 3\d training examples, loss and tokens right on \d held-out examples?\nwritten to .*pruned, and opened again as infer does: /,
    )
    const pruned = await openWeights(folder)
    expect(pruned.model.numExperts).toBe(2)
    expect(pruned.texts).toBeDefined()
    await pruned.close()
    await expect(prune(run, join(scratch, 'more'), { experts: 4, data, set: [] })).rejects.toThrow('the model has 4')
    await expect(prune(join(scratch, 'no-model'), folder, { experts: 2, data, set: [] })).rejects.toThrow(
      `${folder}: something is there already`,
    )
    await expect(prune(run, join(scratch, 'none'), { experts: 2, set: [] })).rejects.toThrow('give --data')
  } finally {
    vi.restoreAllMocks()
    await rm(scratch, { recursive: true })
  }
})

it('a pruned model has the kernels of the kept experts, and reads no others', async () => {
  const { model, router } = preset('switch-base-8')
  const whole = newWeights('new', { ...model, ...smallSizes, vocabSize: 40, numExperts: 4 }, router, 3)
  const read: [string, number][] = []
  const weights = {
    ...whole,
    read: (path: string) => {
      if (path.includes('/expert/')) throw new Error(`all experts of ${path} are read`)
      return whole.read(path)
    },
    readExpert: (path: string, expert: number) => {
      read.push([path, expert])
      return whole.readExpert(path, expert)
    },
  }
  const kept = new Map([
    ['encoder/layers_1', [1, 3]],
    ['decoder/layers_1', [0, 2]],
  ])
  const pruned = prunedWeights(weights, prunedModel(whole.model, 2), kept)
  const path = 'encoder/layers_1/mlp/expert/wo/kernel'
  const kernels = await pruned.read(path)
  expect(read).toEqual([
    [path, 1],
    [path, 3],
  ])
  expect(kernels.shape).toEqual(pruned.specs.find(spec => spec.path === path)!.shape)
  for (const [i, expert] of [1, 3].entries()) {
    expect(partOf(kernels, i)).toEqual(await whole.readExpert(path, expert))
    expect(await pruned.readExpert(path, i)).toEqual(await whole.readExpert(path, expert))
  }
})
