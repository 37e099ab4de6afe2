import { fstatSync, realpathSync } from 'node:fs'
import { relative } from 'node:path'
import { SwitchyardError } from '../../../../base/errors.js'
import { MpiCommunicator } from './communicator.js'
import { findMpi, mpiInstallation } from './find-mpi.js'
import { MpiLibrary } from './library.js'
import { isByPmix, startedJob } from './started-job.js'
import type { StartedJob } from './started-job.js'

/**
 * Joins the job that this process was started in: see `startedJob`. All of its processes call this. Throws a
 * SwitchyardError if no MPI is installed, or if it does not find the other processes.
 */
export async function joinJob(): Promise<MpiCommunicator> {
  const started = startedJob()
  const path = findMpi()
  if (path === undefined)
    throw new SwitchyardError(
      `${started ? `${startedAs(started)}, which` : 'joinProcesses'} needs MPI, and none was found: install MPICH (${mpiInstallation()}), or set SWITCHYARD_MPI to the path of its library. ${separately}`,
    )
  if (started === undefined) return MpiCommunicator.join(await MpiLibrary.load(path))
  const isPmix = isByPmix(process.env)
  if (!isPmix) requireConnection(started)
  const mpi = await MpiLibrary.load(path)
  // MPICH without PMIx would end this process, with a message of its own.
  if (isPmix && !mpi.kind.speaksPmix) throw notFound(started, mpi, path, 1)
  const communicator = await MpiCommunicator.join(mpi)
  const { size } = communicator
  if (size !== (started.size ?? size)) throw notFound(started, mpi, path, size)
  return communicator
}

/**
 * MPICH's processes find each other by asking what started them, over the socket whose file descriptor is in PMI_FD.
 * Throws a SwitchyardError if that is no socket: npx, like other programs of Node, does not pass it on, and MPI would
 * crash.
 */
function requireConnection({ size, starter }: StartedJob): void {
  const fd = process.env.PMI_FD
  if (fd === undefined || isSocket(Number(fd))) return
  const [, script] = process.argv
  const program = script === undefined ? '...' : `${relative('', realpathSync(script))} ...`
  throw new SwitchyardError(
    `the connection to ${starter} (file descriptor ${fd}) has not reached this process, since the program between them, such as npx, has closed it: let ${starter} start node itself, as in ${starter} -n ${size} node ${program}`,
  )
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket()
  } catch {
    return false
  }
}

const startedAs = ({ size, starter }: StartedJob): string =>
  `this process was started as one of ${size ?? 'several'} (by ${starter})`

/** The error of a process whose MPI finds another number of processes than was started. */
const notFound = (started: StartedJob, { kind }: MpiLibrary, path: string, size: number): SwitchyardError =>
  new SwitchyardError(
    `${startedAs(started)}, and ${kind.version} (${path}) finds ${size === 1 ? 'only itself' : size}: start the processes with ${kind.isOpenMpi ? "Open MPI's mpirun, or with srun --mpi=pmix" : 'switchyard launch, with the mpiexec of this MPI, or with srun --mpi=pmi2'}. ${separately}`,
  )

const separately = 'For separate runs, start each by a command of its own'
