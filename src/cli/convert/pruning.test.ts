import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { parseRunConfig } from '../../config/validate.js'
import { overrideConfig } from '../../config/overrides.js'
import { fittedConfig } from '../../config/fitted-config.js'
import { pairsTask } from '../../data/tasks/pairs.js'
import { openWeights } from '../../open/open-weights.js'
import { Trainer } from '../../train/trainer.js'
import { prune } from './pruning.js'

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
