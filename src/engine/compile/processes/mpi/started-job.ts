/** The job that mpiexec, mpirun, SLURM or `switchyard launch` has started this process in. */
export interface StartedJob {
  /** How many processes it has; undefined if whatever started them does not say. */
  readonly size?: number
  /** The command that starts such processes, before their number: `srun --mpi=pmi2`. */
  readonly starter: string
}

/**
 * The job of several processes that this process was started in, by the variables of its environment; undefined if it
 * was started alone. SLURM sets them also where it is not told how the processes are to find each other, and then MPI
 * does not find them: see `joinJob`.
 */
export function startedJob(env: NodeJS.ProcessEnv = process.env): StartedJob | undefined {
  const [ofPmi, ofOpenMpi, ofSlurm] = [env.PMI_SIZE, env.OMPI_COMM_WORLD_SIZE, env.SLURM_STEP_NUM_TASKS].map(several)
  // MPICH's mpiexec starts one process on each machine by srun, which starts the others and says how many these are.
  const isByMpiexec = ofPmi !== undefined && (ofPmi !== ofSlurm || env.MPI_LOCALNRANKS !== undefined)
  if (isByMpiexec) return { size: ofPmi, starter: 'mpiexec' }
  if (ofOpenMpi !== undefined) return { size: ofOpenMpi, starter: 'mpirun' }
  if (ofSlurm !== undefined)
    return { size: ofSlurm, starter: `srun${env.SLURM_MPI_TYPE ? ` --mpi=${env.SLURM_MPI_TYPE}` : ''}` }
  // PMIx's own starter, prterun, gives processes their numbers only.
  const isCounted = [env.PMI_SIZE, env.OMPI_COMM_WORLD_SIZE, env.SLURM_STEP_NUM_TASKS].some(size => size !== undefined)
  return env.PMIX_RANK === undefined || isCounted ? undefined : { starter: 'prterun' }
}

/** Whether the processes of this job find each other by PMIx, which Open MPI uses and MPICH does not. */
export const isByPmix = (env: NodeJS.ProcessEnv): boolean =>
  env.PMIX_RANK !== undefined && several(env.PMI_SIZE) === undefined

/** The number of processes, if it is more than one. */
function several(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) && Number(text) > 1 ? Number(text) : undefined
}
