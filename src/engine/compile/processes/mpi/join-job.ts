import { SwitchyardError } from '../../../../base/errors.js'
import { MpiCommunicator } from './communicator.js'
import { findMpi, mpiInstallation } from './find-mpi.js'
import { MpiLibrary } from './library.js'

/**
 * How many processes the job has in which mpiexec, SLURM or `switchyard launch` has started this process; undefined if
 * it was started by itself.
 */
export function jobSize(env: NodeJS.ProcessEnv = process.env): number | undefined {
  const given = env.PMI_SIZE ?? env.OMPI_COMM_WORLD_SIZE ?? (env.PMIX_RANK === undefined ? undefined : env.SLURM_NTASKS)
  return given !== undefined && /^\d+$/.test(given) ? Number(given) : undefined
}

/** Joins the job that this process was started in: see `jobSize`. All of its processes call this. */
export async function joinJob(): Promise<MpiCommunicator> {
  const path = findMpi()
  if (path === undefined)
    throw new SwitchyardError(
      `a job of several processes needs MPICH, and none was found. Install it (${mpiInstallation()}), or set SWITCHYARD_MPI to the path of its library; switchyard doctor says what is found`,
    )
  const communicator = await MpiCommunicator.join(await MpiLibrary.load(path))
  const expected = jobSize()
  if (expected !== undefined && communicator.size !== expected)
    throw new SwitchyardError(
      `this process was started as one of ${expected}, but ${path} does not find the others: ` +
        "start the processes with that library's own mpiexec, with switchyard launch, or with srun --mpi=pmi2",
    )
  return communicator
}
