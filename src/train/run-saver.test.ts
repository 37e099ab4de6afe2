import * as fs from 'node:fs/promises'
import type * as Files from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import * as np from '../engine/api/np.js'
import { hostView } from '../engine/api/tensor.js'
import { openCheckpoint } from './checkpointing.js'
import { Job } from './job/job.js'
import { MetricsLog } from './metrics-log.js'
import { RunSaver } from './run-saver.js'
import type { RunSaverOptions } from './run-saver.js'

/** `until`: new folders wait for it. `full`: after the first bytes of a tensor file, the disk is full. */
const disk = vi.hoisted(() => ({ until: Promise.resolve(), full: false }))

vi.mock('node:fs/promises', async importOriginal => {
  const real = await importOriginal<typeof Files>()
  const mkdir = async (path: string, options?: object): Promise<unknown> => {
    await disk.until
    return real.mkdir(path, options)
  }
  const open = async (path: string, flags: string): Promise<Files.FileHandle> => {
    const handle = await real.open(path, flags)
    if (disk.full && flags === 'wx')
      handle.writev = async views => {
        await handle.write(views[0] as Uint8Array, 0, 3)
        throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
      }
    return handle
  }
  return { ...real, mkdir, open }
})

let folder: string
beforeEach(async () => {
  disk.until = Promise.resolve()
  disk.full = false
  folder = await fs.mkdtemp(join(tmpdir(), 'switchyard-saver-'))
})
afterEach(() => fs.rm(folder, { recursive: true, force: true }))

const facts = (step: number, data: unknown = null) => ({
  step,
  config: null,
  task: null,
  data,
  seed: 0,
  libraryVersion: '1',
})
const arrays = (value: number) => ({ params: { w: np.array([value, 2]) }, optimizer: { m: np.array([value]) } })

/** Makes new folders wait until the returned function is called. */
function blockDisk(): () => void {
  let unblock = (): void => undefined
  disk.until = new Promise(resolve => {
    unblock = resolve
  })
  return unblock
}

async function makeSaver(options: Partial<RunSaverOptions> = {}): Promise<{ saver: RunSaver; notices: string[] }> {
  const log = new MetricsLog(folder)
  await log.open(options.resumedStep ?? 0)
  const notices: string[] = []
  const train = { keep: 9, keepEvery: null, asyncSave: true, checkpointEvery: 2 }
  return {
    saver: new RunSaver(folder, log, { train, job: new Job(null), onNotice: text => notices.push(text), ...options }),
    notices,
  }
}

const saved = async (): Promise<string[]> => (await fs.readdir(folder)).sort()

describe('saving in the background', () => {
  it('returns when the state is copied: the arrays and the position of the data may change then', async () => {
    const { saver } = await makeSaver()
    const unblock = blockDisk()
    const [data, state] = [{ position: 3 }, arrays(1)]
    await saver.save(facts(2, data), state)
    expect(saver.savedStep).toBeUndefined()
    data.position = 4
    ;(await hostView(state.params.w)).data[0] = 99
    unblock()
    await saver.settle()
    expect(saver.savedStep).toBe(2)
    const checkpoint = await openCheckpoint(folder)
    expect([...(await checkpoint.params.read('w')).data]).toEqual([1, 2])
    expect(checkpoint.data).toEqual({ position: 3 })
    await checkpoint.close()
  })

  it('has at most one save in flight: the next one waits, which is said once', async () => {
    const { saver, notices } = await makeSaver({ noticeAfter: 40 })
    for (const step of [2, 6]) {
      const unblock = blockDisk()
      await saver.save(facts(step), arrays(step))
      const next = saver.save(facts(step + 2), arrays(step + 2))
      expect(await Promise.race([next.then(() => 'copied'), sleep(50, 'waits')])).toBe('waits')
      unblock()
      await next
      await saver.settle()
    }
    expect(await saved()).toEqual(['step-2', 'step-4', 'step-6', 'step-8'])
    expect(notices).toEqual([
      'saving a checkpoint takes longer than 2 steps, so training waits for it: a larger train.checkpointEvery avoids this',
    ])
  })

  it('throws the error of a full disk at the next step, leaves nothing half-written, and names what is left', async () => {
    const { saver } = await makeSaver()
    disk.full = true
    await saver.save(facts(2), arrays(2))
    await saver.settle()
    expect(() => saver.check()).toThrow(/step-2.*: the disk is full: free some space and try again; no checkpoint was/)
    await expect(saver.finish(facts(3), arrays(3))).rejects.toThrow('the disk is full')
    expect(await saved()).toEqual([])

    disk.full = false
    const { saver: second } = await makeSaver()
    await second.save(facts(2), arrays(2))
    await second.settle()
    disk.full = true
    await second.save(facts(4), arrays(4))
    await expect(second.save(facts(6), arrays(6))).rejects.toThrow('; the last checkpoint, of step 2 in ')
    expect(await saved()).toEqual(['step-2'])
  })

  it('is complete when it returns for the first save after a resume, and without asyncSave', async () => {
    const { saver } = await makeSaver()
    for (const step of [2, 4]) await saver.save(facts(step), arrays(step))
    await saver.finish(facts(6), arrays(6))
    const { saver: resumed } = await makeSaver({ resumedStep: 2 })
    await resumed.save(facts(5), arrays(5))
    expect(await saved()).toEqual(['step-2', 'step-5'])
    const train = { keep: 1, keepEvery: null, asyncSave: false, checkpointEvery: 2 }
    const { saver: plain } = await makeSaver({ resumedStep: 5, train })
    for (const step of [6, 8]) {
      await plain.save(facts(step), arrays(step))
      expect(await saved()).toEqual([`step-${step}`])
    }
  })

  it('refuses values that are not finite', async () => {
    const { saver } = await makeSaver()
    await saver.save(facts(2), { params: { w: np.array([1, Infinity]) }, optimizer: {} })
    await saver.settle()
    expect(() => saver.check()).toThrow('w is not finite after step 2: no checkpoint was saved')
  })
})
