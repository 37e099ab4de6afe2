/** A command that is one of several processes: started by mpiexec, SLURM or `switchyard launch`. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigError } from '../../base/errors.js'
import type { Backend } from '../../engine/compile/backend.js'
import { ProcessEndedError } from '../../engine/compile/processes/communicator.js'
import type { Communicator } from '../../engine/compile/processes/communicator.js'
import { startedJob } from '../../engine/compile/processes/mpi/started-job.js'
import type { StartedJob } from '../../engine/compile/processes/mpi/started-job.js'
import { directInvocation, invocation } from './invocation.js'

/** The commands that run as several processes. */
export const jobCommands: readonly string[] = ['train', 'resume', 'finetune', 'distill']

/** The variable that holds the process that `launch` runs in. */
export const LAUNCHER = 'SWITCHYARD_LAUNCHER'

/** How long the other processes wait before they print an error: if the first has the same, it ends them. */
const PATIENCE_MS = 2000

/** How long the last output takes to reach the command that has started the processes. */
const OUTPUT_MS = 500

let processes: Communicator | null = null
/** Shows this process's output again, if `mute` hides it. */
let unmute = (): void => undefined

/**
 * Joins the job that this process was started in, if any, and makes its backend the default. `inner`: makes what
 * computes on each process, instead of ONNX Runtime. Throws a ConfigError for a command that is one process.
 */
export async function enterJob(command: string, inner?: () => Promise<Backend>): Promise<boolean> {
  const started = startedJob()
  if (started === undefined) return false
  if (!jobCommands.includes(command)) throw oneProcess(command, started)
  const { setBackend } = await import('../../engine/api/engine.js')
  const { joinProcesses } = await import('../../engine/api/open-backend.js')
  const backend = await joinProcesses(await inner?.())
  setBackend(backend)
  processes = backend.processes
  if (processes.rank > 0) mute()
  // Open MPI's mpirun gives processes a terminal, also where its own output is a file: see `showProgress`.
  else if (process.env.OMPI_COMM_WORLD_SIZE !== undefined) withoutTerminal()
  endWithLauncher()
  return true
}

/** The error for a command that was started as several processes and is one. */
export const oneProcess = (command: string, { size, starter }: StartedJob): ConfigError =>
  new ConfigError(
    `${command} runs as one process, and was started as ${size ?? 'several'}: start it without ${starter.split(' ')[0]} (several processes run ${jobCommands.join(', ')})`,
  )

/** The command that starts the package as this one was started: by itself, or as several processes. */
export const jobInvocation = (): string => {
  if (processes === null) return invocation()
  return process.env[LAUNCHER] === undefined
    ? `${startedJob()?.starter ?? 'mpiexec'} -n ${processes.size} ${directInvocation()}`
    : `${invocation()} launch --processes ${processes.size} --`
}

/** What the first process of a job tells its launcher: the folder of the run. */
export interface JobMessage {
  readonly run: string
}

/** Tells `switchyard launch`, if it has started this job, which run it makes. */
export function tellLauncher(run: string): void {
  if (processes?.rank === 0) process.send?.({ run } satisfies JobMessage)
}

/**
 * Called before an error is printed: other processes than the first print only errors that it does not have. The second
 * one speaks at once if the first has ended, since mpirun then ends all others within a second.
 */
export async function beforeError(error: unknown): Promise<void> {
  if (processes === null || processes.rank === 0) return
  const cause = error instanceof Error && error.cause instanceof ProcessEndedError ? error.cause : error
  const isFirstLeft = processes.rank === 1 && cause instanceof ProcessEndedError && cause.ended === 0
  if (!isFirstLeft) await sleep(PATIENCE_MS)
  unmute()
  console.error(`switchyard: process ${processes.rank} of ${processes.size}:`)
}

/** Leaves the job at the end of a command, or ends all of its processes if the command has failed. */
export async function endJob(code: number): Promise<void> {
  if (processes === null) return
  if (code === 0 || code === 130) await processes.leave()
  // The launcher ends the others, without MPI's own message.
  else if (process.env[LAUNCHER] !== undefined) process.exit(code)
  else {
    // SLURM ends a job that is aborted at once, and what its processes have just written is lost.
    await sleep(OUTPUT_MS)
    processes.abort(code)
  }
}

/** Only the first process prints. */
function mute(): void {
  const streams = [process.stdout, process.stderr]
  const writes = streams.map(stream => stream.write.bind(stream))
  for (const stream of streams)
    stream.write = ((_: unknown, encoding: unknown, done: unknown): boolean => {
      const callback = typeof encoding === 'function' ? encoding : done
      if (typeof callback === 'function') process.nextTick(callback)
      return true
    }) as typeof stream.write
  unmute = () => streams.forEach((stream, i) => (stream.write = writes[i] as typeof stream.write))
}

/** Has progress printed as lines, as in a file. */
function withoutTerminal(): void {
  for (const stream of [process.stdout, process.stderr]) stream.isTTY = false
}

/** Ends this process if the one that launched it has ended, so that none is left behind. */
function endWithLauncher(): void {
  const launcher = process.env[LAUNCHER]
  if (launcher === undefined) return
  setInterval(() => {
    if (String(process.ppid) !== launcher) process.exit(1)
  }, 1000).unref()
}
