import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defineTask } from '../data/define-task.js'
import { functionSource } from '../data/sources/iterable-source.js'
import { tokensChoose } from '../nn/moe/routers/tokens-choose.js'
import { ByteVocabulary } from '../text/bytes.js'
import { Trainer } from '../train/trainer.js'
import { recipeRun } from './recipe-run.js'

let folder: string
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'switchyard-recipe-run-'))))
afterAll(() => rm(folder, { recursive: true, force: true }))

const vocabulary = new ByteVocabulary()
const parity = defineTask({
  name: 'parity',
  source: functionSource('numbers', () =>
    Array.from({ length: 100 }, (_, i) => ({ inputs: String(i), targets: i % 2 ? 'odd' : 'even' })),
  ),
  features: { inputs: { vocabulary }, targets: { vocabulary } },
})
const model = { dModel: 8, dFf: 8, numHeads: 1, headDim: 8, numExperts: 2 }

describe('a recipe of a program', () => {
  it('gives what a trainer takes: a model of the vocabulary of the task, and a warm-up that fits the steps', async () => {
    const router = { ...tokensChoose({ selectedExperts: 1 }), name: 'mine' }
    const { config, values } = await recipeRun({ task: parity, router, model, train: { steps: 2, rows: 2 } })
    expect(config.model).toMatchObject({ ...model, vocabSize: (await parity.load()).codec.vocabSize })
    expect(config.train).toMatchObject({ steps: 2, rows: 2, schedule: { warmupSteps: 1 } })
    expect(values.router).toBe(router)
    const trainer = await Trainer.begin(config, values)
    expect(trainer.config.router.custom).toBe('mine')
    expect(await trainer.run(join(folder, 'run'))).toBe('finished')
  })

  it('takes a task that is loaded already, and the name of a built-in one', async () => {
    const task = await parity.load()
    expect((await recipeRun({ task, model })).values.task).toBe(task)
    expect((await recipeRun({ task: 'g2p', model })).config.task.kind).toBe('g2p')
  })

  it('is refused with the setting that does not exist', async () => {
    const train = { stepz: 3 } as object
    await expect(recipeRun({ task: parity, train })).rejects.toThrow(
      /^recipeRun: the recipe parity is not right:\n *train\.stepz: there is no such setting; did you mean train\.steps\?$/,
    )
  })
})
