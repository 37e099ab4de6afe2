import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sharedMemoryOf } from '../../src/engine/compile/processes/mpi/shared-memory.js'
import { mpiLibrary } from '../processes/mpi-job.js'
import { Cli, tiny } from './cli.js'

const mesh = ['--mesh', 'data=2', '--set', 'train.rows=4']

describe.skipIf(!mpiLibrary)('switchyard launch', () => {
  let cli: Cli
  beforeAll(async () => {
    cli = await Cli.create()
  })
  afterAll(() => cli.remove())

  const train = (...args: string[]): string[] => ['launch', '--processes', '2', '--', 'train', 'g2p', ...tiny, ...args]
  /** The processes that this one has started, by their ranks. */
  const processesOf = (pid: number): number[] =>
    execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map(Number)

  it('refuses what does not run as several processes, once', async () => {
    const infer = await cli.run('launch', '--processes', '2', '--', 'infer', 'runs/g2p', 'word')
    expect(infer).toMatchObject({ code: 2, stdout: '' })
    expect(infer.stderr).toContain('infer does not run as several processes: launch runs train, resume, finetune')
    const { code, stderr } = await cli.run(...train('--mesh', 'data=4', '--set', 'train.rows=4'))
    expect(code).toBe(2)
    expect(stderr.match(/this job has 2 processes, and train.mesh is data=4/g)).toHaveLength(1)
  })

  it('ends when a process is killed, says how to go on, saves at Ctrl-C, and finishes', async () => {
    let killed = 0
    let memory: string[] = []
    const begun = await cli.start(train(...mesh, '--set', 'train.steps=5000'), (stdout, job) => {
      if (killed > 0 || !/step (?!1\/)\d+\/5000/.test(stdout)) return
      const [, second] = processesOf(job.pid!)
      memory = sharedMemoryOf(second)
      killed = performance.now()
      process.kill(second, 'SIGKILL')
    })
    expect(performance.now() - killed).toBeLessThan(10_000)
    expect(begun.code).toBe(1)
    expect(begun.stderr).toMatch(/process 1 of 2 \(pid \d+\) was ended by SIGKILL/)
    expect(begun.stderr).toContain('npx switchyard launch --processes 2 -- resume runs/g2p')
    expect(memory).not.toEqual([])
    expect(memory.filter(path => existsSync(path))).toEqual([])
    expect(begun.stdout.match(/training in runs\/g2p/g)).toHaveLength(1)

    let isStopped = false
    const resumed = await cli.start(['launch', '--processes', '2', '--', 'resume'], (stdout, job) => {
      if (isStopped || !/step (?!1\/)\d+\/5000/.test(stdout)) return
      isStopped = true
      job.kill('SIGINT')
    })
    expect(resumed.code, resumed.stderr).toBe(130)
    expect(resumed.stdout).toMatch(/saved step (\d+) in runs\/g2p; to resume:/)
    const step = Number(/saved step (\d+)/.exec(resumed.stdout)![1])
    expect(await readdir(join(cli.folder, 'runs/g2p'))).toContain(`step-${step}`)

    const steps = `train.steps=${step + 2}`
    const last = await cli.run('launch', '--processes', '2', '--', 'resume', '--set', steps)
    expect(last.code, last.stderr).toBe(0)
    expect(last.stdout).toContain('saved in runs/g2p')

    const proof = await cli.run('launch', '--processes', '2', '--', 'resume', 'runs/g2p', '--prove')
    expect(proof.stdout.match(/equal bit for bit/g), proof.stderr).toHaveLength(1)
    const student = ['--mesh', 'data=2', '--set', 'train.steps=2', '--set', 'train.checkpointEvery=2']
    const distilled = await cli.run('launch', '--processes', '2', '--', 'distill', 'runs/g2p', ...student)
    expect(distilled.code, distilled.stderr).toBe(0)
    expect(distilled.stdout.match(/the student has [\d.]+% of the teacher's parameters/g)).toHaveLength(1)
  })

  it('finds the equation that gave a NaN', async () => {
    const diverging = ['train.schedule.peak=1e30', 'train.clipNorm=null', 'train.steps=9'].flatMap(s => ['--set', s])
    const { code, stderr } = await cli.run(...train('--out', 'runs/nan', ...mesh, ...diverging))
    expect(code).toBe(1)
    expect(stderr).toMatch(/is NaN at step 3: train --resume runs\/nan --debug-nans names the equation/)
    const found = await cli.run('launch', '--processes', '2', '--', 'train', '--resume', 'runs/nan', '--debug-nans')
    expect(found).toMatchObject({ code: 0, stderr: '' })
    expect(found.stdout.match(/step 3: NaN came from \w+/g)).toHaveLength(1)
  })
})
