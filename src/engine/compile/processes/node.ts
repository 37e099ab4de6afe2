import { availableParallelism } from 'node:os'
import type { Backend } from '../backend.js'
import { OnnxBackend } from '../onnx/backend.js'
import { nodeSessions } from '../onnx/node.js'
import { ProcessesBackend } from './backend.js'
import { joinJob } from './mpi/join-job.js'

/** Makes the backend of a process of a job: package.json maps `#mpi` to this module in Node. */
export async function joinProcesses(inner?: Backend): Promise<ProcessesBackend> {
  const communicator = await joinJob()
  const threads = Math.max(1, Math.floor(availableParallelism() / communicator.localSize))
  return ProcessesBackend.create(inner ?? new OnnxBackend(nodeSessions(threads)), communicator)
}
