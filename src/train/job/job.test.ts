import { spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { localCommunicators } from '../../../test/processes/local-job.js'
import { near } from '../../../test/train/mesh-runs.js'
import { bundled, mpiexec, mpiLibrary } from '../../../test/processes/mpi-job.js'
import { FileError } from '../../base/errors.js'
import { Job } from './job.js'

describe('a job', () => {
  it('agrees on what is so on any process, and shares what the first has', async () => {
    const jobs = localCommunicators(3).map(c => new Job(c))
    const all = <T>(f: (job: Job, rank: number) => Promise<T>): Promise<T[]> => Promise.all(jobs.map(f))
    expect(await all((job, rank) => job.any(rank === 2))).toEqual([true, true, true])
    expect(await all(job => job.any(false))).toEqual([false, false, false])
    const made = await all((job, rank) => job.fromFirst(async () => ({ folder: `runs/ä-${rank}` })))
    expect(made).toEqual(Array(3).fill({ folder: 'runs/ä-0' }))
    const figures = { loss: NaN, best: undefined }
    expect(await all(job => job.fromFirst(async () => figures))).toStrictEqual(Array(3).fill(figures))
    expect(jobs.map(job => job.isFirst)).toEqual([true, false, false])
  })

  it('shares a work out; if one fails, all throw its error', async () => {
    const jobs = localCommunicators(3).map(c => new Job(c))
    const done: string[] = []
    const shared = (failing: readonly number[]): Promise<PromiseSettledResult<void>[]> =>
      Promise.allSettled(
        jobs.map(job =>
          job.share(async (rank, size) => {
            if (failing.includes(rank)) throw new FileError(`file ${rank} is damaged`)
            done.push(`${rank} of ${size}`)
          }),
        ),
      )
    expect((await shared([])).map(r => r.status)).toEqual(Array(3).fill('fulfilled'))
    expect(done).toEqual(['0 of 3', '1 of 3', '2 of 3'])
    for (const failing of [[1], [1, 2]])
      expect(await shared(failing)).toEqual(
        Array(3).fill({ status: 'rejected', reason: new FileError('file 1 is damaged') }),
      )
    // After a FileError, another checkpoint is tried: by all processes or by none.
    const others = await Promise.allSettled(
      jobs.map(job =>
        job.share(rank => (rank === 1 ? Promise.reject(new RangeError('no memory')) : Promise.resolve())),
      ),
    )
    expect(others.map(r => r.status === 'rejected' && [r.reason instanceof FileError, String(r.reason)])).toEqual([
      [false, 'SwitchyardError: no memory'],
      [false, 'RangeError: no memory'],
      [false, 'SwitchyardError: no memory'],
    ])
    const alone = new Job(null)
    await expect(alone.share(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
  })

  it('of one process is that process', async () => {
    const job = new Job(null)
    expect([job.isFirst, job.several, await job.any(true)]).toEqual([true, null, true])
    expect(await job.fromFirst(async () => undefined)).toBeUndefined()
  })
})

interface Trained {
  losses: number[]
  values: number[]
  /** The figures of the answers in each validation. */
  answers: number[]
  best: number[]
}

/** The bytes that a process has read of a checkpoint, those of its stacks of experts, and of all other arrays. */
interface ReadBytes {
  read: number
  stacks: number
  others: number
}

describe.skipIf(!mpiLibrary)('a training as several processes', () => {
  let folder: string
  let program: Awaited<ReturnType<typeof bundled>>
  let single: Trained
  const resultOf = async (run: string): Promise<Trained> => JSON.parse(await readFile(`${run}.json`, 'utf8')) as Trained
  const train = async (processes: number, mesh: string, run: string): Promise<Trained> => {
    const { code, stderr } = await mpiexec(processes, [program.path, run, mesh, '10'])
    expect(code, stderr).toBe(0)
    return resultOf(run)
  }
  const files = (run: string): Promise<Buffer[]> =>
    Promise.all(['params', 'optimizer'].map(name => readFile(join(run, 'step-10', `${name}.safetensors`))))

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchyard-'))
    program = await bundled('mpi-train')
    single = await train(1, 'data=1', join(folder, 'single'))
  })
  afterAll(async () => {
    await program.remove()
    await rm(folder, { recursive: true })
  })

  it.each([
    [2, 'data=2'],
    [2, 'expert=2'],
    [4, 'data=2,expert=2'],
  ])('%d processes, %s: make the losses and parameters of one, and resume exactly', async (processes, mesh) => {
    const run = join(folder, mesh)
    const { losses, values, answers, best } = await train(processes, mesh, run)
    near(losses, single.losses)
    near(values, single.values)
    // Process 0 answers, with the arrays of all.
    expect(answers).toEqual(single.answers)
    near(best, single.best)

    const [again, alone] = [`${run} again`, `${run} alone`]
    for (const copy of [again, alone]) {
      await cp(run, copy, { recursive: true })
      await rm(join(copy, 'step-10'), { recursive: true })
    }
    expect((await train(processes, mesh, again)).values).toEqual(values)
    await expectPartsRead(again, processes, mesh)
    expect(await files(again)).toEqual(await files(run))
    near((await train(1, 'data=1', alone)).values, single.values)
  })

  /** Each process has read its experts, and what all have; nothing else. */
  async function expectPartsRead(run: string, processes: number, mesh: string): Promise<void> {
    const experts = Number(/expert=(\d)/.exec(mesh)?.[1] ?? 1)
    for (let rank = 0; rank < processes; rank++) {
      const { read, stacks, others } = JSON.parse(await readFile(`${run}.${rank}.json`, 'utf8')) as ReadBytes
      expect(stacks).toBeGreaterThan(0)
      expect(read, `process ${rank}`).toBe(stacks / experts + others)
    }
  }

  it('ends within seconds when a process is killed, and resumes exactly', async () => {
    const run = join(folder, 'killed')
    const mpi = join(dirname(dirname(mpiLibrary!)), 'bin/mpiexec')
    const job = spawn(mpi, ['-n', '2', process.execPath, program.path, run, 'expert=2', '100000'])
    const pids = new Set<number>()
    let text = ''
    const begun = new Promise<void>(resolve =>
      job.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
        for (const [, pid] of text.matchAll(/pid (\d+)/g)) pids.add(Number(pid))
        if (/^8$/m.test(text) && pids.size === 2) resolve()
      }),
    )
    const ended = new Promise<number | null>(resolve => job.once('close', resolve))
    await begun
    const at = performance.now()
    process.kill([...pids][1], 'SIGKILL')
    expect(await ended).not.toBe(0)
    expect(performance.now() - at).toBeLessThan(10_000)
    const steps = join(folder, 'expert=2')
    // Whatever the last checkpoint is, the run goes on from it to the very numbers of the run that was not stopped.
    for (const step of ['step-10', 'step-15', 'step-20', 'step-25', 'step-30'])
      await rm(join(run, step), { recursive: true, force: true })
    expect((await train(2, 'expert=2', run)).values).toEqual((await resultOf(steps)).values)
  })
})
