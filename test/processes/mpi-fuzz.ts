/**
 * Run by mpiexec: random programs on meshes of the job's processes, each of which compares its parts with the
 * interpreter's results. Arguments: the number of programs, and the seed. All processes draw the same programs, and
 * agree after each one whether it failed, so that all look for the smallest program that fails.
 */
import fc from 'fast-check'
import { onnxBackend } from '../../src/engine/api/engine.js'
import { ProcessesBackend } from '../../src/engine/compile/processes/backend.js'
import { everyone } from '../../src/engine/compile/processes/communicator.js'
import { joinJob } from '../../src/engine/compile/processes/mpi/join-job.js'
import { Mesh } from '../../src/engine/program/sharding.js'
import { processes } from '../conformance/fuzz/mesh-devices.js'
import { meshCase, ways } from '../conformance/fuzz/mesh-ways.js'

const [runs, seed] = process.argv.slice(2).map(Number)
const job = await joinJob()
const { rank, size } = job
const meshes = [new Mesh({ data: size }), ...(size === 4 ? [new Mesh({ data: 2, expert: 2 })] : [])]
const devices = processes([[rank, await ProcessesBackend.create(onnxBackend(), job)]])
for (const mesh of meshes)
  for (const way of Object.values(ways))
    await fc.assert(
      fc.asyncProperty(meshCase, async c => {
        let error: unknown
        await way(c, mesh, devices).catch((e: unknown) => (error = e))
        const [hasFailed] = await job.reduce(Uint8Array.of(Number(error !== undefined)), 'max', everyone(job))
        if (hasFailed) throw error ?? new Error('another process failed')
      }),
      { numRuns: Math.ceil(runs / Object.keys(ways).length / meshes.length), seed },
    )
await job.leave()
