/** Run by mpiexec as 4 processes: writes the results of `exercise` and of the programs on meshes, for each process. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onnxBackend, setBackend } from '../../src/engine/api/engine.js'
import { ProcessesBackend } from '../../src/engine/compile/processes/backend.js'
import { joinJob } from '../../src/engine/compile/processes/mpi/join-job.js'
import { Mesh } from '../../src/engine/program/sharding.js'
import { meshResults } from '../conformance/mesh-cases.js'
import { exercise } from './exercise.js'

const communicator = await joinJob()
const operations = await exercise(communicator)
setBackend(await ProcessesBackend.create(onnxBackend(), communicator))
const programs = await meshResults(new Mesh({ data: 2, expert: 2 }))
writeFileSync(join(process.argv[2], `${communicator.rank}.json`), JSON.stringify({ operations, programs }))
await communicator.leave()
