import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as np from '../engine/api/np.js'
import { openCheckpoint, saveRun } from './checkpointing.js'
import type { ChooseOptions } from './choose-checkpoint.js'
import { Job } from './job/job.js'

let run: string
beforeEach(async () => {
  run = await mkdtemp(join(tmpdir(), 'switchyard-choose-'))
})
afterEach(() => rm(run, { recursive: true, force: true }))

/** Saves checkpoints of the steps 2, 4, 6 and 8; from step 4 on, the one of step 4 is the best. */
async function save(best: number | null = 4): Promise<void> {
  for (const step of [2, 4, 6, 8]) {
    const facts = { step, config: null, task: null, data: null, seed: 0, libraryVersion: '1' }
    const bestSoFar = best === null || step < best ? {} : { best: { step: best, figure: 'loss', value: 0.123456 } }
    const arrays = { params: { w: np.array([step]) }, optimizer: { m: np.array([step]) } }
    await saveRun(run, { ...facts, ...bestSoFar }, arrays, { keep: 9 })
  }
}

/** Flips a bit of the last byte of a file. */
async function damage(step: number, name: string): Promise<void> {
  const path = join(run, `step-${step}`, name)
  const bytes = await readFile(path)
  bytes[bytes.length - 1] ^= 1
  await writeFile(path, bytes)
}

async function open(options: ChooseOptions = {}): Promise<{ step: number; notices: string[] }> {
  const notices: string[] = []
  const onNotice = (message: string): number => notices.push(message.replaceAll(run, 'RUN'))
  const checkpoint = await openCheckpoint(run, { onNotice, ...options })
  await checkpoint.close()
  return { step: checkpoint.step, notices }
}

describe('the checkpoint of a run', () => {
  it('is the latest by default, the best or that of a step if chosen', async () => {
    await save()
    expect(await open()).toEqual({ step: 8, notices: [] })
    expect(await open({ choice: 'best' })).toEqual({
      step: 4,
      notices: ['using step 4 of RUN, the best of its validations (loss 0.1235); --checkpoint latest takes step 8'],
    })
    expect((await open({ choice: 6 })).step).toBe(6)
    await expect(open({ choice: 5 })).rejects.toThrow('there is no checkpoint of step 5; it has 2, 4, 6, 8')
    await expect(openCheckpoint(join(run, 'step-2'), { choice: 4 })).rejects.toThrow('this is one checkpoint')
  })

  it('is the latest where the best is asked for and the run has no validations', async () => {
    await save(null)
    expect(await open({ choice: 'best' })).toEqual({ step: 8, notices: [] })
  })

  it.each<[string, string]>([
    ['params.safetensors', 'step-8/params.safetensors: tensor "w" is damaged'],
    ['checkpoint.json', 'step-8/checkpoint.json: '],
  ])('is the one before a latest whose %s is damaged, with a warning', async (name, message) => {
    await save()
    if (name === 'checkpoint.json') await writeFile(join(run, 'step-8', name), '{"format": "switchyard", "st')
    else await damage(8, name)
    const { step, notices } = await open()
    expect(step).toBe(6)
    expect(notices).toHaveLength(1)
    expect(notices[0]).toContain(`warning: RUN/${message}`)
    expect(notices[0]).toMatch(/; step 6 of RUN is used instead$/)
    expect(notices[0]).not.toContain('remove')
  })

  it('may have a damaged optimizer state for inference, and not for resuming', async () => {
    await save()
    await damage(8, 'optimizer.safetensors')
    expect(await open()).toEqual({ step: 8, notices: [] })
    expect((await open({ withOptimizer: true })).step).toBe(6)
  })

  it('leaves out an optimizer state that cannot be opened and is not needed, and says what is damaged', async () => {
    await save()
    const optimizer = join(run, 'step-8', 'optimizer.safetensors')
    await writeFile(optimizer, 'short')
    const leftOut = expect.stringMatching(
      /^warning: RUN\/step-8\/optimizer\.safetensors: the file has 5 bytes.*; it is not needed here, and left out$/,
    )
    expect(await open()).toEqual({ step: 8, notices: [leftOut] })
    expect((await open({ withOptimizer: true })).step).toBe(6)
    // As the checkpoint of its own folder.
    const notices: string[] = []
    const onNotice = (message: string): number => notices.push(message.replaceAll(run, 'RUN'))
    const checkpoint = await openCheckpoint(join(run, 'step-8'), { onNotice })
    expect([checkpoint.optimizer, notices]).toEqual([undefined, [leftOut]])
    await checkpoint.close()
    await expect(openCheckpoint(join(run, 'step-8'), { withOptimizer: true })).rejects.toThrow('the file has 5 bytes')

    await rm(optimizer)
    expect((await open()).step).toBe(8)
    await damage(8, 'params.safetensors')
    const { step, notices: said } = await open()
    expect([step, said.length]).toEqual([6, 1])
  })

  it('is never another than the one that was chosen by its step', async () => {
    await save()
    await damage(6, 'params.safetensors')
    await expect(open({ choice: 6 })).rejects.toThrow('tensor "w" is damaged')
  })

  it('is verified when it is opened for a training, also if it is given itself', async () => {
    await save()
    await damage(8, 'params.safetensors')
    const folder = join(run, 'step-8')
    await expect(openCheckpoint(folder, { job: new Job(null) })).rejects.toThrow('tensor "w" is damaged')
    const unread = await openCheckpoint(folder)
    await unread.close()
    await damage(6, 'optimizer.safetensors')
    const options = { job: new Job(null), withOptimizer: true }
    await expect(openCheckpoint(join(run, 'step-6'), options)).rejects.toThrow('tensor "m" is damaged')
  })

  it('falls back from a damaged best one to the latest that is not', async () => {
    await save()
    await damage(4, 'params.safetensors')
    await damage(8, 'params.safetensors')
    expect((await open({ choice: 'best' })).step).toBe(6)
  })

  it('is refused with what is wrong with each if all are damaged', async () => {
    await save()
    for (const step of [2, 4, 6]) await damage(step, 'params.safetensors')
    await writeFile(join(run, 'step-8', 'params.safetensors'), 'short')
    const message = await open().catch((error: Error) => error.message)
    expect(message).toMatch(/^\S+: every checkpoint of this run is damaged:\n {2}\S+step-8\S+ the file has 5 bytes.*\n/)
    expect(String(message).split('\n')).toHaveLength(5)
  })
})
