import { SwitchyardError } from '../../../../base/errors.js'
import { MpiCommunicator } from './communicator.js'
import { findMpi, mpiInstallation } from './find-mpi.js'
import { MpiLibrary } from './library.js'
import { startedJob } from './started-job.js'

/**
 * Joins the job that this process was started in: see `startedJob`. All of its processes call this. Throws a
 * SwitchyardError if no MPI is installed, or if it does not find the other processes.
 */
export async function joinJob(): Promise<MpiCommunicator> {
  const started = startedJob()
  const path = findMpi()
  if (path === undefined)
    throw new SwitchyardError(
      `a job of several processes${started ? `, as ${started.starter} has started this one,` : ''} needs MPI, and none was found. Install MPICH (${mpiInstallation()}), or set SWITCHYARD_MPI to the path of its library; switchyard doctor says what is found. Where these are no processes of one job, start each by a command of its own`,
    )
  const mpi = await MpiLibrary.load(path)
  const communicator = await MpiCommunicator.join(mpi)
  if (started?.size !== undefined && communicator.size !== started.size)
    throw new SwitchyardError(
      `this process was started as one of ${started.size} (by ${started.starter}), and ${mpi.version} (${path}) finds ${communicator.size === 1 ? 'only itself' : communicator.size}: start the processes with ${waysToStart(mpi)}. Where these are no processes of one job, start each by a command of its own`,
    )
  return communicator
}

const waysToStart = ({ isOpenMpi }: MpiLibrary): string =>
  isOpenMpi
    ? "Open MPI's mpirun, or with srun --mpi=pmix"
    : 'switchyard launch, with the mpiexec of this MPI, or with srun --mpi=pmi2'
