import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { readTensors } from '../checkpoint/format.js'
import { defaultEngine } from '../engine/api/engine.js'
import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { environmentWarning, expectedOf, openCheckpoint, readTree, saveRun } from './checkpointing.js'
import { MetricsLog } from './metrics-log.js'
import { Pace } from './pace.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-'))
})
afterEach(() => rm(folder, { recursive: true }))

const facts = (step: number) => ({ step, config: { a: 1 }, task: null, data: null, seed: 0, libraryVersion: '1' })

describe('checkpoints of a run', () => {
  const arrays = (value: number) => ({
    params: { a: { kernel: np.array([[1, value]]) } },
    optimizer: { m: { a: np.array([3]) } },
  })

  it('are read back unchanged', async () => {
    await saveRun(folder, facts(3), arrays(2), { keep: 1 })
    await saveRun(folder, facts(5), arrays(0.1), { keep: 1 })
    expect(await readdir(folder)).toEqual(['step-5'])
    const checkpoint = await openCheckpoint(folder)
    try {
      expect(checkpoint.step).toBe(5)
      const params = (await readTree(checkpoint.params, expectedOf(arrays(0).params))) as { a: { kernel: Tensor } }
      expect(await params.a.kernel.numbers()).toEqual([1, Math.fround(0.1)])
      expect([...(await readTensors(checkpoint.optimizer!)).keys()]).toEqual(['m/a'])
      expect(await environmentWarning(checkpoint)).toBeUndefined()
      expect(await environmentWarning({ ...checkpoint, threads: checkpoint.threads + 1 })).toContain(
        'not the same bit for bit',
      )
    } finally {
      await checkpoint.close()
    }
  })

  it('must be of the configured model', async () => {
    await saveRun(folder, facts(3), arrays(2), { keep: 1 })
    const { params, close } = await openCheckpoint(join(folder, 'step-3'))
    const expected = (path: string, shape: number[]) => ({ path, shape, dtype: 'float32' as const })
    await expect(readTree(params, [expected('a/kernel', [2, 1])])).rejects.toThrow(
      'a/kernel is float32[1,2], and the configuration beside it asks for float32[2,1]',
    )
    await expect(readTree(params, [expected('a/bias', [1])])).rejects.toThrow('a/bias is missing')
    await expect(readTree(params, [])).rejects.toThrow('a/kernel belongs to no part')
    await close()
    await expect(openCheckpoint(join(folder, 'none'))).rejects.toThrow('there is no such folder')
    await mkdir(join(folder, 'empty'))
    await expect(openCheckpoint(join(folder, 'empty'))).rejects.toThrow(
      'there is no checkpoint of Switchyard in this folder',
    )
  })

  it('are found in a folder of runs', async () => {
    for (const name of ['b', 'a']) await saveRun(join(folder, name), facts(3), arrays(2), { keep: 1 })
    await expect(openCheckpoint(folder)).rejects.toThrow(
      `this is a folder of runs; give one of them: ${join(folder, 'a')}, ${join(folder, 'b')}`,
    )
  })

  it('are never saved with a value that is not finite', async () => {
    await saveRun(folder, facts(3), arrays(2), { keep: 1 })
    await expect(saveRun(folder, facts(4), arrays(NaN), { keep: 1 })).rejects.toThrow(
      'a/kernel is not finite after step 4',
    )
    expect(await readdir(folder)).toEqual(['step-3'])
  })
})

describe('the records of a run', () => {
  it('are cut back to a step, without an incomplete line', async () => {
    const log = new MetricsLog(folder)
    await log.open(0)
    for (const step of [1, 2, 3]) await log.append({ step, loss: step / 2, load: [1, step] })
    await writeFile(log.path, `${await readFile(log.path, 'utf8')}{"step":1`)
    const before = await readFile(log.path, 'utf8')
    await log.open(2)
    await log.append({ step: 3, loss: 9 })
    expect(await readFile(log.path, 'utf8')).toBe(before)
    expect(await readFile(`${log.path}.resumed`, 'utf8')).toBe('{"step":3,"loss":9}\n')
    await log.open(2) // the run was killed, and resumes
    await log.append({ step: 3, loss: 9 })
    expect(await readFile(`${log.path}.resumed`, 'utf8')).toBe('{"step":3,"loss":9}\n')
    await log.prepare(3)
    await log.commit(3)
    expect(await readdir(folder)).toEqual(['metrics.jsonl'])
    expect(await readFile(log.path, 'utf8')).toBe(
      '{"step":1,"loss":0.5,"load":[1,1]}\n{"step":2,"loss":1,"load":[1,2]}\n{"step":3,"loss":9}\n',
    )
  })
})

describe('pace', () => {
  it('leaves out what is not a step', async () => {
    let now = 0
    const pace = new Pace(() => now)
    const work = { examples: 10, tokens: 40, secondsWaited: 0 }
    now = 1
    pace.add(work)
    await pace.pause(async () => {
      now += 100
    })
    now += 2
    pace.add(work)
    expect(pace.examplesPerSecond).toBe(5)
    expect(pace.secondsFor(6)).toBe(12)
    // Validations are not steps either, but there will be more of them: one of 10 seconds every two steps.
    await pace.validate(async () => {
      now += 10
    })
    expect(pace.examplesPerSecond).toBe(5)
    expect(pace.secondsFor(6)).toBe(12 + 30)
  })

  it('leaves out compilation, in steps and in validations', async () => {
    const clock = vi.spyOn(performance, 'now').mockReturnValue(0)
    const pace = new Pace()
    const compileUntil = async (seconds: number): Promise<void> => {
      const compiled = defaultEngine().compiling.count(Promise.resolve())
      clock.mockReturnValue(1000 * seconds)
      await compiled
    }
    const work = { examples: 10, tokens: 40, secondsWaited: 0 }
    pace.add(work)
    await compileUntil(60)
    clock.mockReturnValue(62_000)
    pace.add(work)
    expect(pace.secondsFor(6)).toBeCloseTo(12)
    await pace.validate(() => compileUntil(100))
    expect(pace.secondsFor(6)).toBeCloseTo(12)
    clock.mockRestore()
  })

  it('leaves out the first step, which compiles, and steps before its window', () => {
    let now = 0
    const pace = new Pace(() => now, 3)
    const step = (seconds: number): void => {
      now += seconds
      pace.add({ examples: 10, tokens: 40, secondsWaited: seconds / 4 })
    }
    step(9)
    expect(pace.examplesPerSecond).toBeCloseTo(10 / 9)
    expect(pace.isMeasured).toBe(false)
    step(1)
    expect(pace.isMeasured).toBe(true)
    expect(pace.examplesPerSecond).toBe(10)
    expect(pace.secondsFor(7)).toBe(7)
    step(1)
    step(2)
    step(2)
    expect(pace.examplesPerSecond).toBe(30 / 5)
    expect([pace.tokensPerSecond, pace.stepsPerSecond, pace.shareWaited]).toEqual([120 / 5, 3 / 5, 1 / 4])
  })
})
