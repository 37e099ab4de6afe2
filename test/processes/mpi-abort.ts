/** Run by mpiexec as 2 processes: the second prints the files of its shared memory, and aborts the job. */
import { everyone } from '../../src/engine/compile/processes/communicator.js'
import { joinJob } from '../../src/engine/compile/processes/mpi/join-job.js'
import { sharedMemoryOf } from '../../src/engine/compile/processes/mpi/shared-memory.js'

const communicator = await joinJob()
await communicator.gather(new Uint8Array(1000), everyone(communicator))
if (communicator.rank === 1) {
  process.stdout.write(`${sharedMemoryOf('self').join('\n')}\n`)
  communicator.abort(3)
}
await communicator.receive(1, 1)
