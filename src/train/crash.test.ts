import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type * as Files from 'node:fs/promises'
import { abandonAfter, listCheckpoints } from '../checkpoint/run-folder.js'
import * as np from '../engine/api/np.js'
import { openCheckpoint, saveRun } from './checkpointing.js'
import { MetricsLog } from './metrics-log.js'

// A crash is simulated: from a given file operation on, every operation fails, those that clean up included.
const crash = vi.hoisted(() => ({ operations: 0, after: Infinity, code: 'CRASH' }))

vi.mock('node:fs/promises', async importOriginal => {
  const real = await importOriginal<typeof Files>()
  const counted = <F extends (...args: never[]) => Promise<unknown>>(operation: F) =>
    ((...args: Parameters<F>) => {
      if (crash.operations++ >= crash.after) throw Object.assign(new Error(crash.code), { code: crash.code })
      return operation(...args)
    }) as F
  const changing = ['open', 'mkdir', 'rename', 'rm', 'writeFile', 'appendFile'] as const
  return { ...real, ...Object.fromEntries(changing.map(name => [name, counted(real[name])])) }
})

let folder: string
beforeEach(async () => {
  crash.after = Infinity
  folder = await fs.mkdtemp(join(tmpdir(), 'switchyard-crash-'))
})
afterEach(() => {
  crash.after = Infinity
  return fs.rm(folder, { recursive: true, force: true })
})

/** Saves a checkpoint whose only parameter is the number of its history (a training before or after a resume). */
async function save(history: number, step: number): Promise<void> {
  const facts = { step, config: null, task: null, data: null, seed: 0, libraryVersion: '1' }
  await saveRun(folder, facts, { params: { history: np.array([history]) }, optimizer: {} }, { keep: 3 })
}

async function latest(): Promise<{ history: number; step: number }> {
  const checkpoint = await openCheckpoint(folder)
  try {
    const { data } = await checkpoint.params.read('history')
    return { history: Number(data[0]), step: checkpoint.step }
  } finally {
    await checkpoint.close()
  }
}

/** The history of each record, one digit each, after a run has resumed from a checkpoint and saved its next one. */
async function records(from: number): Promise<string> {
  const log = new MetricsLog(folder)
  await log.open(from)
  await log.append({ step: from + 1, history: 9 })
  await log.prepare(from + 1)
  await log.commit(from + 1)
  const lines = (await fs.readFile(log.path, 'utf8')).trim().split('\n')
  return lines.map(line => (JSON.parse(line) as { step: number; history: number }).history).join('')
}

/** History 1: checkpoints at 4, 6 and 8, and records up to 9. */
async function firstHistory(): Promise<void> {
  const log = new MetricsLog(folder)
  await log.open(0)
  for (let step = 1; step <= 9; step++) await log.append({ step, history: 1 })
  for (const step of [4, 6, 8]) await save(1, step)
}

/** History 2 resumes from step 4 of history 1 and saves its first checkpoint, as `Trainer` does. */
async function secondHistory(next: number): Promise<void> {
  const log = new MetricsLog(folder)
  await log.open(4)
  for (let step = 5; step <= next; step++) await log.append({ step, history: 2 })
  await abandonAfter(folder, 4, next)
  await log.prepare(next)
  await save(2, next)
  await log.commit(next)
}

describe.each([5, 6, 8, 10])('a crash while a run that resumed from step 4 saves step %i', next => {
  it('leaves either all of the old history, or the new one alone', async () => {
    const seen = new Set<number>()
    for (let point = 0; ; point++) {
      crash.after = Infinity
      await fs.rm(folder, { recursive: true, force: true })
      await fs.mkdir(folder)
      await firstHistory()
      crash.operations = 0
      crash.after = point
      const crashed = await secondHistory(next).then(
        () => false,
        () => true,
      )
      crash.after = Infinity
      const { history, step } = await latest()
      seen.add(history)
      expect({ point, history, step }).toEqual({ point, history, step: history === 1 ? 8 : next })
      const expected = history === 1 ? '111111119' : `1111${'2'.repeat(next - 4)}9`
      expect({ point, records: await records(step) }).toEqual({ point, records: expected })
      if (history === 2) expect((await listCheckpoints(folder)).map(found => found.step)).toEqual([4, next])
      if (!crashed) break
    }
    expect(seen).toEqual(new Set([1, 2]))
  })
})

describe('a checkpoint that cannot be written', () => {
  it.each(['ENOSPC', 'EIO'])('for %s leaves earlier checkpoints unchanged', async code => {
    await firstHistory()
    for (let point = 0; ; point++) {
      crash.operations = 0
      ;[crash.after, crash.code] = [point, code]
      const failed = await save(1, 10).then(
        () => false,
        () => true,
      )
      crash.after = Infinity
      if (!failed) break
      // The oldest checkpoint may be deleted once the new one exists.
      const steps = (await listCheckpoints(folder)).map(found => found.step)
      expect(steps.slice(-3)).toEqual(steps.includes(10) ? [6, 8, 10] : [4, 6, 8])
      expect((await latest()).history).toBe(1)
    }
  })
})
