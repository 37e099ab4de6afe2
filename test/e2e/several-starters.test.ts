import { execFileSync, spawn } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { mpiexec, mpiexecOf, mpiLibrary, openMpiLibrary } from '../processes/mpi-job.js'
import { Cli, tiny } from './cli.js'

const mesh = ['--mesh', 'data=2', '--set', 'train.rows=4']

let cli: Cli
beforeAll(async () => {
  cli = await Cli.create()
})
afterAll(() => cli.remove())
afterEach(() => void vi.unstubAllEnvs())
const program = (...args: string[]): string[] => [join(cli.package_, 'bin/switchyard.js'), ...args]
const train = (...args: string[]): string[] => program('train', 'g2p', ...tiny, ...mesh, ...args)
/** Sets variables of the environment, for the rest of a test. */
const setEnv = (variables: { readonly [name: string]: string }): void => {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
}

describe.skipIf(!mpiLibrary)('with MPICH', () => {
  it('a process of srun that finds only itself does not train alone', async () => {
    setEnv({ SLURM_STEP_NUM_TASKS: '2', SLURM_PROCID: '1' })
    const { code, stderr } = await cli.run(...train().slice(1))
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /started as one of 2 \(by srun\), and MPICH \S+ \(.*\) finds only itself: start.* srun --mpi=pmi2/,
    )
  })

  it('a process that npx has cut off from mpiexec says so', async () => {
    setEnv({ PMI_SIZE: '2', PMI_RANK: '0', PMI_FD: '987' })
    const { code, stderr } = await cli.run(...train().slice(1))
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /connection to mpiexec \(file descriptor 987\) has not reached .* mpiexec -n 2 node \S+switchyard\.js/,
    )
  })

  it('launch is not started by another, and names the process whose memory does not suffice, once', async () => {
    const nested = await mpiexec(2, program('launch', '--processes', '2', '--', 'train', 'g2p'))
    expect(nested.code).toBe(2)
    expect(nested.stderr).toContain('launch runs as one process, and was started as 2: start it without mpiexec')
    const rows = ['--set', 'train.rows=1000000']
    const large = await cli.run('launch', '--processes', '2', '--', ...train(...rows).slice(1))
    expect(large.code).toBe(1)
    expect(
      large.stderr.match(/process 0 of 2 \(on \S+\): training \(.* takes about [\d.]+ [GT]iB of memory/g),
    ).toHaveLength(1)
  })
})

describe.skipIf(!openMpiLibrary)('with Open MPI', () => {
  const library = openMpiLibrary!

  it('mpirun trains, without a terminal; a killed process is named, with the command that resumes', async () => {
    const done = await mpiexec(2, train('--set', 'train.steps=3', '--out', join(cli.folder, 'runs/done')), {}, library)
    expect(done.code, done.stderr).toBe(0)
    expect(done.stdout).toMatch(/^step 3\/3 {2}loss/m)
    const [command, ...options] = mpiexecOf(library)
    const args = [...options, '-n', '2', process.execPath, ...train('--set', 'train.steps=5000')]
    const job = spawn(command, args, { cwd: cli.folder, env: { ...process.env, SWITCHYARD_MPI: library } })
    onTestFinished(() => void job.kill())
    let [stdout, stderr, killed] = ['', '', false]
    job.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    job.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      if (killed || !/step (?!1\/)\d+\/5000/.test(stdout)) return
      killed = true
      const children = execFileSync('pgrep', ['-P', String(job.pid)], { encoding: 'utf8' })
        .trim()
        .split('\n')
      process.kill(Number(children[1]), 'SIGKILL')
    })
    expect(await new Promise(resolve => job.on('close', resolve))).toBe(137)
    expect(stderr).toMatch(
      /process 1 of 2 \(pid \d+ on \S+\) has ended.*To go on[^]*mpirun -n 2 node \S+switchyard\.js resume runs\/g2p/,
    )
  })

  it('launch refuses its library, and MPICH refuses its mpirun', async () => {
    setEnv({ SWITCHYARD_MPI: library })
    const launched = await cli.run('launch', '--processes', '2', '--', 'train', 'g2p')
    expect(launched.code).toBe(1)
    expect(launched.stderr).toMatch(
      /which only its own mpirun starts: mpirun -n 2 node \S+switchyard\.js train g2p\. Or install MPICH/,
    )
    if (!mpiLibrary) return
    const other = await mpiexec(2, train(), { SWITCHYARD_MPI: mpiLibrary }, library)
    expect(other.code).toBe(1)
    expect(other.stderr).toMatch(/started as one of 2 \(by mpirun\), and MPICH \S+ \(.*\) finds only itself/)
  })
})
