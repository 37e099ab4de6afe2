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
      `a job of several processes${started ? `, as ${started.starter} has started this one,` : ''} needs MPI, and none was found. Install MPICH (${mpiInstallation()}), or set SWITCHYARD_MPI to the path of its library; switchyard doctor says what is found. ${otherwise}`,
    )
  if (started !== undefined) requireConnection(started)
  const mpi = await MpiLibrary.load(path)
  // MPICH without PMIx would end this process, with a message of its own.
  if (started !== undefined && isByPmix(process.env) && !mpi.kind.speaksPmix) throw notFound(started, mpi, path, 1)
  const communicator = await MpiCommunicator.join(mpi)
  const { size } = communicator
  if (started !== undefined && size !== (started.size ?? size)) throw notFound(started, mpi, path, size)
  return communicator
}

/**
 * Throws a SwitchyardError if the file descriptor, by which MPICH's processes ask whatever has started them for the
 * others, is not that socket: npx, like other programs of Node, does not pass it on, and MPI would crash.
 */
function requireConnection({ size, starter }: StartedJob): void {
  const fd = process.env.PMI_FD
  if (fd === undefined || isSocket(Number(fd))) return
  throw new SwitchyardError(
    `the connection to ${starter} (file descriptor ${fd}) has not reached this process, since the program between them, such as npx, has closed it: let ${starter} start node itself, as in ${starter} -n ${size} node ${relative('', realpathSync(process.argv[1]))} ...`,
  )
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket()
  } catch {
    return false
  }
}

/** The error of a process whose MPI finds another number of processes than was started. */
const notFound = (started: StartedJob, { kind }: MpiLibrary, path: string, size: number): SwitchyardError =>
  new SwitchyardError(
    `this process was started as one of ${started.size ?? 'several'} (by ${started.starter}), and ${kind.version} (${path}) finds ${size === 1 ? 'only itself' : size}: start the processes with ${kind.isOpenMpi ? "Open MPI's mpirun, or with srun --mpi=pmix" : 'switchyard launch, with the mpiexec of this MPI, or with srun --mpi=pmi2'}. ${otherwise}`,
  )

const otherwise = 'Where these are no processes of one job, start each by a command of its own'
