import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { meshResults } from '../../../../../test/conformance/mesh-cases.js'
import { exercise } from '../../../../../test/processes/exercise.js'
import { localCommunicators } from '../../../../../test/processes/local-job.js'
import {
  bundled,
  mpiexec,
  mpiLibrary,
  openMpiLibrary,
  standardMpiLibrary,
} from '../../../../../test/processes/mpi-job.js'
import { setBackend } from '../../../api/engine.js'
import { Mesh } from '../../../program/sharding.js'
import { referenceBackend } from '../../reference/backend.js'

interface Written {
  operations: number[][]
  programs: number[][]
}

const libraries = {
  MPICH: mpiLibrary,
  'MPICH by the standard interface': standardMpiLibrary,
  'Open MPI': openMpiLibrary,
}

for (const [name, library] of Object.entries(libraries))
  describe.skipIf(!library)(`processes connected by ${name}`, () => {
    let folder: string
    let program: Awaited<ReturnType<typeof bundled>>
    const written: Written[] = []
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'switchyard-'))
      program = await bundled('mpi-exercise')
      const { code, stderr } = await mpiexec(4, [program.path, folder], {}, library)
      expect(code, stderr).toBe(0)
      for (const rank of [0, 1, 2, 3])
        written.push(JSON.parse(await readFile(join(folder, `${rank}.json`), 'utf8')) as Written)
    })
    afterAll(async () => {
      await program.remove()
      await rm(folder, { recursive: true })
    })

    it('combine arrays of every type, in every group, as a job in one process does', async () => {
      const expected = await Promise.all(localCommunicators(4).map(exercise))
      expect(written.map(w => w.operations)).toEqual(expected)
    })

    it('compute programs on a mesh, with their gradients, as one device does', async () => {
      setBackend(referenceBackend)
      const expected = await meshResults(new Mesh({ data: 2, expert: 2 }))
      for (const { programs } of written) {
        expect(programs.map(numbers => numbers.length)).toEqual(expected.map(numbers => numbers.length))
        programs.forEach((numbers, i) =>
          numbers.forEach((x, k) => expect(Math.abs(x - expected[i][k])).toBeLessThan(2e-6 * (1 + Math.abs(x)))),
        )
      }
    })

    it('leave no shared memory behind if one aborts', async () => {
      const aborted = await bundled('mpi-abort')
      try {
        const { code, stdout } = await mpiexec(2, [aborted.path], {}, library)
        expect(code).not.toBe(0)
        const files = stdout.split('\n').filter(Boolean)
        expect(files).not.toEqual([])
        expect(files.filter(existsSync)).toEqual([])
      } finally {
        await aborted.remove()
      }
    })
  })
