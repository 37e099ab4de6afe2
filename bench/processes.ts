/**
 * Where the time of a training step of several processes goes: trains the recipe g2p for some steps on a mesh, and
 * prints the time of each kind of work in process 0, and how often it was done. Waiting is measured as a reduction of
 * one byte before each operation of MPI, so that the operation itself does not wait. docs/processes.md has the figures.
 */
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/base/format.js'
import { overrideConfig } from '../src/config/overrides.js'
import { recipes } from '../src/config/recipes.js'
import { setBackend } from '../src/engine/api/engine.js'
import type { Backend, Executable } from '../src/engine/compile/backend.js'
import { OnnxBackend } from '../src/engine/compile/onnx/backend.js'
import { nodeSessions } from '../src/engine/compile/onnx/node.js'
import { ProcessesBackend } from '../src/engine/compile/processes/backend.js'
import { everyone } from '../src/engine/compile/processes/communicator.js'
import type { Communicator } from '../src/engine/compile/processes/communicator.js'
import { findMpi } from '../src/engine/compile/processes/mpi/find-mpi.js'
import { joinJob } from '../src/engine/compile/processes/mpi/join-job.js'
import { Trainer } from '../src/train/trainer.js'
import { devicesIn, parseMesh } from '../src/train/parallel/mesh-config.js'

const { values: options } = parseArgs({
  options: {
    mesh: { type: 'string', default: 'expert=2' },
    steps: { type: 'string', default: '20' },
    /** Settings of the recipe g2p. */
    set: { type: 'string', multiple: true, default: [] },
    /** The folder of the run: given to processes, not by a person. */
    folder: { type: 'string' },
  },
})
/** Steps before the measurement, in which programs are compiled. */
const WARM_UP = 3

/** Processor and wall time of kinds of work, in seconds, and how often each was done. */
const spent = new Map<string, { cpu: number; wall: number; times: number }>()
const seconds = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1e6

/** Does some work of a kind, and adds its time to what was spent on it. Work of two kinds never overlaps. */
async function timed<T>(kind: string, work: () => Promise<T>): Promise<T> {
  const [begin, cpu] = [performance.now(), process.cpuUsage()]
  const result = await work()
  const sum = spent.get(kind) ?? { cpu: 0, wall: 0, times: 0 }
  sum.cpu += seconds(process.cpuUsage(cpu))
  sum.wall += (performance.now() - begin) / 1000
  sum.times++
  spent.set(kind, sum)
  return result
}

function timedBackend(backend: Backend): Backend {
  const timedExecutable = (executable: Executable): Executable => ({
    stats: executable.stats,
    run: (...args) => timed('computing', () => executable.run(...args)),
    release: () => executable.release(),
  })
  return Object.assign(Object.create(backend) as Backend, {
    compile: async (...args: Parameters<Backend['compile']>) => timedExecutable(await backend.compile(...args)),
  })
}

function timedCommunicator(c: Communicator): Communicator {
  const operation = async <T>(work: () => Promise<T>): Promise<T> => {
    await timed('waiting', () => c.reduce(Uint8Array.of(0), 'max', everyone(c)))
    return timed('messages', work)
  }
  return Object.assign(Object.create(c) as Communicator, {
    reduce: (...args: Parameters<Communicator['reduce']>) => operation(() => c.reduce(...args)),
    reduceScatter: (...args: Parameters<Communicator['reduceScatter']>) => operation(() => c.reduceScatter(...args)),
    gather: (...args: Parameters<Communicator['gather']>) => operation(() => c.gather(...args)),
    exchange: (...args: Parameters<Communicator['exchange']>) => operation(() => c.exchange(...args)),
    duplicate: async () => timedCommunicator(await c.duplicate()),
  })
}

if (options.folder === undefined) {
  const library = findMpi()
  if (!library) throw new Error('MPICH was not found: see docs/processes.md')
  const mpiexec = join(dirname(dirname(library)), 'bin/mpiexec')
  const mesh = parseMesh(options.mesh)
  if (!mesh) throw new Error(`--mesh is ${options.mesh}: give the devices along its axes, such as data=2,expert=2`)
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-processes-'))
  const args = ['-n', String(devicesIn(mesh)), process.execPath, ...process.argv.slice(1), '--folder', folder]
  const { status } = spawnSync(mpiexec, args, { stdio: 'inherit', env: { ...process.env, SWITCHYARD_MPI: library } })
  process.exitCode = status ?? 1
  await rm(folder, { recursive: true, force: true })
} else {
  const job = await joinJob()
  const backend = await ProcessesBackend.create(timedBackend(new OnnxBackend(nodeSessions(1))), timedCommunicator(job))
  setBackend(backend)
  const steps = Number(options.steps)
  const config = overrideConfig(recipes.g2p, [
    `train.mesh=${options.mesh}`,
    `train.steps=${steps + WARM_UP}`,
    'train.logEvery=1',
    'train.schedule.warmupSteps=1',
    ...options.set,
  ])
  const trainer = await Trainer.begin(config)
  let [begin, cpu] = [0, process.cpuUsage()]
  let total = { cpu: 0, wall: 0 }
  await trainer.run(join(options.folder, 'run'), {
    onProgress: ({ step }) => {
      if (step === WARM_UP) {
        spent.clear()
        ;[begin, cpu] = [performance.now(), process.cpuUsage()]
      } else if (step === steps + WARM_UP)
        total = { cpu: seconds(process.cpuUsage(cpu)), wall: (performance.now() - begin) / 1000 }
    },
  })
  const milliseconds = (s: number): string => `${((1000 * s) / steps).toFixed(1)} ms`
  const rest = [...spent.values()].reduce((left, s) => ({ cpu: left.cpu - s.cpu, wall: left.wall - s.wall }), total)
  if (job.rank === 0)
    console.log(
      formatTable([
        ['a step of a process', 'processor time', 'wall time', 'times'],
        ...[...spent].map(([kind, s]) => [
          kind,
          milliseconds(s.cpu),
          milliseconds(s.wall),
          (s.times / steps).toFixed(1),
        ]),
        ['the rest: copies, JavaScript', milliseconds(rest.cpu), milliseconds(rest.wall), ''],
        ['total', milliseconds(total.cpu), milliseconds(total.wall), `load ${loadavg()[0].toFixed(1)}`],
      ]),
    )
  await backend.processes.leave()
}
