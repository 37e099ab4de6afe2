import { expect, it } from 'vitest'
import { isByPmix, startedJob } from './started-job.js'

/** The variables as the programs set them: MPICH 5.0.2, Open MPI 5.0.11, SLURM 22.05. */
const inStep = { SLURM_NTASKS: '4', SLURM_PROCID: '1', SLURM_STEP_NUM_TASKS: '4' }
const ofPmi = { PMI_SIZE: '4', PMI_RANK: '1', PMI_FD: '9' }
const ofMpirun = { OMPI_COMM_WORLD_SIZE: '4', OMPI_COMM_WORLD_RANK: '1', PMIX_RANK: '1' }

it.each<[string, NodeJS.ProcessEnv, ReturnType<typeof startedJob>]>([
  ['a process by itself', {}, undefined],
  ['the shell of salloc or sbatch', { SLURM_NTASKS: '4', SLURM_PROCID: '0' }, undefined],
  ['srun of one process', { SLURM_NTASKS: '4', SLURM_STEP_NUM_TASKS: '1', PMI_SIZE: '1', PMI_RANK: '0' }, undefined],
  ['mpiexec of one process', { PMI_SIZE: '1', PMI_RANK: '0' }, undefined],
  ['mpirun of one process', { OMPI_COMM_WORLD_SIZE: '1', PMIX_RANK: '0' }, undefined],
  ['mpiexec', { ...ofPmi, MPI_LOCALNRANKS: '4' }, { size: 4, starter: 'mpiexec' }],
  ['switchyard launch', ofPmi, { size: 4, starter: 'mpiexec' }],
  [
    'mpiexec by srun, one process a machine',
    { ...inStep, ...ofPmi, MPI_LOCALNRANKS: '1' },
    { size: 4, starter: 'mpiexec' },
  ],
  ['mpiexec by srun, two a machine', { ...ofPmi, SLURM_STEP_NUM_TASKS: '2' }, { size: 4, starter: 'mpiexec' }],
  ['mpirun', ofMpirun, { size: 4, starter: 'mpirun' }],
  [
    'mpirun in a process of srun',
    { ...ofMpirun, PMI_SIZE: '1', SLURM_STEP_NUM_TASKS: '1' },
    { size: 4, starter: 'mpirun' },
  ],
  ['srun --mpi=pmi2', { ...inStep, ...ofPmi, SLURM_MPI_TYPE: 'pmi2' }, { size: 4, starter: 'srun --mpi=pmi2' }],
  ['srun --mpi=pmix', { ...inStep, PMIX_RANK: '1', SLURM_MPI_TYPE: 'pmix' }, { size: 4, starter: 'srun --mpi=pmix' }],
  ['srun without --mpi', inStep, { size: 4, starter: 'srun' }],
  ['prterun', { PMIX_RANK: '1' }, { starter: 'prterun' }],
])('%s', (_, env, expected) => {
  expect(startedJob(env)).toEqual(expected)
})

it('tells from which processes PMIx connects', () => {
  expect([ofMpirun, { ...inStep, PMIX_RANK: '1' }, { PMIX_RANK: '0', PMI_SIZE: '1' }].map(isByPmix)).toEqual([
    true,
    true,
    true,
  ])
  expect([{}, ofPmi, inStep, { ...ofPmi, PMIX_RANK: '0' }].map(isByPmix)).toEqual([false, false, false, false])
})
