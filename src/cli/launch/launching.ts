import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import type { ChildProcess } from 'node:child_process'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { ConfigError, SwitchyardError } from '../../base/errors.js'
import { findMpi, isOpenMpi, mpiInstallation } from '../../engine/compile/processes/mpi/find-mpi.js'
import { sharedMemoryOf } from '../../engine/compile/processes/mpi/shared-memory.js'
import { startedJob } from '../../engine/compile/processes/mpi/started-job.js'
import { Exit } from '../shared/exit.js'
import { directInvocation, invocation } from '../shared/invocation.js'
import { jobCommands, LAUNCHER, oneProcess } from '../shared/job.js'
import type { JobMessage } from '../shared/job.js'
import { shellWord } from '../shared/shell-word.js'
import { ProcessManager } from './process-manager.js'

/** How a process of a job has ended. */
interface Ended {
  readonly rank: number
  readonly pid: number | undefined
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const program = fileURLToPath(new URL('../../../bin/switchyard.js', import.meta.url))

/** The file descriptor by which a process talks to the process manager. */
const MANAGER_FD = 3

/**
 * Runs a command as several processes, and waits for them. If one fails, the others are ended at once. Ctrl-C is passed
 * on to all; the second one ends them. Throws an Exit with the code of the job.
 */
export async function launch(processes: number, command: readonly string[]): Promise<void> {
  if (!jobCommands.includes(command[0]))
    throw new ConfigError(
      `${command[0]} does not run as several processes: launch runs ${jobCommands.join(', ')}, as in launch --processes ${processes} -- train g2p --mesh data=${processes}`,
    )
  const started = startedJob()
  if (started !== undefined) throw oneProcess('launch', started)
  requireMpich(processes, command)
  const manager = new ProcessManager(processes)
  const children = Array.from({ length: processes }, (_, rank) => start(manager, rank, command))
  const signals = passOnSignals(children)
  let run: string | undefined
  children[0].on('message', (message: JobMessage) => (run = message.run))
  try {
    const failure = await outcome(children)
    if (failure === undefined) return
    if (signals.count > 0) throw new Exit(130)
    const text = describe(failure, processes, command, run)
    if (text !== undefined) console.error(`switchyard: ${text}`)
    throw new Exit(failure.code ?? 1)
  } finally {
    signals.stop()
  }
}

/** Throws a SwitchyardError if there is no MPI whose processes can be started without its own mpiexec. */
function requireMpich(processes: number, command: readonly string[]): void {
  const path = findMpi()
  if (path === undefined)
    throw new SwitchyardError(
      `launch needs MPICH, and none was found. Install it (${mpiInstallation()}), or set SWITCHYARD_MPI to the path of its library`,
    )
  if (isOpenMpi(path))
    throw new SwitchyardError(
      `launch needs MPICH, and ${path} is Open MPI's, which only its own mpirun starts: mpirun -n ${processes} ${directInvocation()} ${command.map(word => shellWord(word)).join(' ')}. Or install MPICH: ${mpiInstallation()}`,
    )
}

/** Starts a process. It is in a group of its own, so that Ctrl-C of a terminal reaches it once, by `passOnSignals`. */
function start(manager: ProcessManager, rank: number, command: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [...process.execArgv, program, ...command], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe', 'ipc'],
    detached: true,
    env: { ...process.env, ...manager.environmentOf(rank, MANAGER_FD), [LAUNCHER]: String(process.pid) },
  })
  manager.serve(child.stdio[MANAGER_FD] as Duplex)
  return child
}

/**
 * Waits for all processes. The first that fails is the result, and the others are ended. If none fails: one that Ctrl-C
 * has ended, or undefined.
 */
async function outcome(children: readonly ChildProcess[]): Promise<Ended | undefined> {
  let failure: Ended | undefined
  let interrupted: Ended | undefined
  const left = new Set<string>()
  await Promise.all(
    children.map(
      (child, rank) =>
        new Promise<void>(resolve => {
          const end = (code: number | null, signal: NodeJS.Signals | null): void => {
            const ended = { rank, pid: child.pid, code, signal }
            if (code === 130) interrupted ??= ended
            else if (code !== 0 && failure === undefined) {
              failure = ended
              for (const other of children) sharedMemoryOf(other.pid).forEach(path => left.add(path))
              for (const other of children) other.kill('SIGKILL')
            }
            resolve()
          }
          child.once('exit', end)
          child.once('error', () => end(1, null))
        }),
    ),
  )
  for (const path of left) rmSync(path, { force: true })
  return failure ?? interrupted
}

/** Passes Ctrl-C and SIGTERM on to the processes, which save and end. A further Ctrl-C ends them: see `onInterrupt`. */
function passOnSignals(children: readonly ChildProcess[]): { readonly count: number; stop: () => void } {
  let count = 0
  const handle = (signal: NodeJS.Signals): void => {
    const isImpatient = count > 0 && signal === 'SIGINT'
    for (const child of children) child.kill(isImpatient ? 'SIGKILL' : signal)
    count++
  }
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const name of signals) process.on(name, handle)
  return {
    get count() {
      return count
    },
    stop: () => {
      for (const name of signals) process.off(name, handle)
    },
  }
}

/** What is said about a failure; undefined if the process has said it. */
function describe(
  { rank, pid, code, signal }: Ended,
  processes: number,
  command: readonly string[],
  run: string | undefined,
): string | undefined {
  if (code === 130 || code === 2) return undefined
  const who = `process ${rank} of ${processes} (pid ${pid})`
  if (signal === null) return `${who} has failed, so the others were ended: its message is above`
  const memory = signal === 'SIGKILL' ? ', perhaps because memory did not suffice' : ''
  const ended = `${who} was ended by ${signal}${memory}, so the others were ended, too.`
  if (run === undefined) return `${ended} Nothing was saved yet: start the command again`
  return `${ended} To go on from the last checkpoint:\n\n    ${invocation()} launch --processes ${processes} -- ${resumed(command, run)}`
}

/** The command that continues the run of another. */
function resumed(command: readonly string[], run: string): string {
  if (command[0] === 'resume' || command.includes('--resume')) return command.map(word => shellWord(word)).join(' ')
  const at = command.findIndex(word => word.startsWith('--backend'))
  const backend = at < 0 ? [] : command.slice(at, command[at] === '--backend' ? at + 2 : at + 1)
  return ['resume', run, ...backend].map(word => shellWord(word)).join(' ')
}
