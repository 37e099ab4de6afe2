import { expect, it } from 'vitest'
import { bundled, mpiexec, mpiLibrary } from '../../processes/mpi-job.js'
import { fuzzRuns, fuzzSeed } from './settings.js'

/** Random programs on meshes of processes that MPI connects: see mesh.test.ts. */
const RUNS = fuzzRuns(40)

it.skipIf(!mpiLibrary).each([2, 4])(
  `random programs on %i processes (seed ${fuzzSeed}, ${RUNS} programs): the same results as on one device`,
  async size => {
    const program = await bundled('mpi-fuzz')
    try {
      const { code, stderr } = await mpiexec(size, [program.path, String(RUNS), String(fuzzSeed)])
      expect(code, stderr).toBe(0)
    } finally {
      await program.remove()
    }
  },
)
