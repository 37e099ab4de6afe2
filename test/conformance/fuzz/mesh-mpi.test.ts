import { expect, it } from 'vitest'
import { bundled, mpiexec, mpiLibrary } from '../../processes/mpi-job.js'

/** Random programs on meshes of processes that MPI connects: see mesh.test.ts. */
const { FUZZ_RUNS, FUZZ_SEED } = process.env
const RUNS = Number(FUZZ_RUNS ?? 40)
const SEED = Number(FUZZ_SEED ?? (FUZZ_RUNS ? Date.now() % 2 ** 31 : 10))

it.skipIf(!mpiLibrary).each([2, 4])(
  `random programs on %i processes (seed ${SEED}, ${RUNS} programs): the same results as on one device`,
  async size => {
    const program = await bundled('mpi-fuzz')
    try {
      const { code, stderr } = await mpiexec(size, [program.path, String(RUNS), String(SEED)])
      expect(code, stderr).toBe(0)
    } finally {
      await program.remove()
    }
  },
)
