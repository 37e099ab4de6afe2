/**
 * Run by mpiexec: trains a small run on a mesh, and writes the losses, the parameters and the figures of validations.
 * Arguments: the run's folder, the mesh, and the number of its steps. A run that has a checkpoint is resumed, and each
 * process writes how many bytes of it were read.
 */
import { writeFileSync } from 'node:fs'
import { bytesOfType } from '../../src/base/host-tensor.js'
import { leavesWithPaths } from '../../src/base/pytree.js'
import { viewOf } from '../../src/checkpoint/format.js'
import type { CheckpointReader } from '../../src/checkpoint/format.js'
import { latestCheckpoint } from '../../src/checkpoint/run-folder.js'
import { setBackend } from '../../src/engine/api/engine.js'
import { joinProcesses } from '../../src/engine/api/open-backend.js'
import type { Tensor } from '../../src/engine/api/tensor.js'
import { openCheckpoint } from '../../src/train/checkpointing.js'
import { currentJob } from '../../src/train/job/job.js'
import { Trainer } from '../../src/train/trainer.js'
import { meshedRun } from '../train/meshed-run.js'
import { parameterValues, task } from '../train/small-run.js'

const [folder, mesh, steps] = process.argv.slice(2)
const backend = await joinProcesses()
setBackend(backend)
const { rank } = backend.processes
const config = meshedRun(mesh, { steps: Number(steps), validateEvery: 5, validateAnswers: 20 })

let read = 0
const counted = (reader: CheckpointReader): CheckpointReader =>
  viewOf(reader, {
    read: async name => count(await reader.read(name)),
    readSlice: async (...slice) => count(await reader.readSlice!(...slice)),
  })
function count<T extends Parameters<typeof bytesOfType>[0]>(tensor: T): T {
  read += bytesOfType(tensor)
  return tensor
}

const answers: number[] = []
const values = { task, onValidation: ({ metric }: { metric?: { value: number } }) => void answers.push(metric!.value) }
const found = await latestCheckpoint(folder)
let trainer: Trainer
if (found === undefined) trainer = await Trainer.begin(config, values)
else {
  const checkpoint = await openCheckpoint(folder, { withOptimizer: true, job: currentJob() })
  const { params, optimizer } = checkpoint
  trainer = await Trainer.resume(
    config,
    { ...checkpoint, params: counted(params), optimizer: counted(optimizer!) },
    values,
  )
  const sizes = { stacks: 0, others: 0 }
  for (const info of [...params.list(), ...optimizer!.list()])
    sizes[info.name.includes('/expert/') ? 'stacks' : 'others'] += bytesOfType(info)
  await checkpoint.close()
  writeFileSync(`${folder}.${rank}.json`, JSON.stringify({ read, ...sizes }))
}
process.stdout.write(`pid ${process.pid}\n`)
const losses: number[] = []
await trainer.run(folder, {
  onProgress: ({ step, record }) => {
    if (record?.step === step) losses.push(Number(record.loss))
    if (rank === 0) process.stdout.write(`${step}\n`)
  },
})
const all = await parameterValues(trainer)
if (rank === 0) {
  const params = leavesWithPaths<Tensor>(await trainer.bestParams(folder))
  const best = (await Promise.all(params.map(([, x]) => x.numbers()))).flat()
  writeFileSync(`${folder}.json`, JSON.stringify({ losses, values: all, answers, best }))
}
await backend.processes.leave()
