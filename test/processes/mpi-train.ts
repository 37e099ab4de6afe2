/**
 * Run by mpiexec: trains a small run on a mesh, and writes the losses and parameters. Arguments: the run's folder, the
 * mesh, and the number of its steps. A run that has a checkpoint is resumed.
 */
import { writeFileSync } from 'node:fs'
import { setBackend } from '../../src/engine/api/engine.js'
import { joinProcesses } from '../../src/engine/api/open-backend.js'
import { latestCheckpoint } from '../../src/checkpoint/run-folder.js'
import { openCheckpoint } from '../../src/train/checkpointing.js'
import { Trainer } from '../../src/train/trainer.js'
import { parameterValues, task } from '../train/small-run.js'
import { meshedRun } from '../train/meshed-run.js'

const [folder, mesh, steps] = process.argv.slice(2)
const backend = await joinProcesses()
setBackend(backend)
const config = meshedRun(mesh, { steps: Number(steps), validateEvery: 5 })
const found = await latestCheckpoint(folder)
const checkpoint = found === undefined ? undefined : await openCheckpoint(folder, { withOptimizer: true })
const trainer = await (checkpoint ? Trainer.resume(config, checkpoint, { task }) : Trainer.begin(config, { task }))
await checkpoint?.close()
process.stdout.write(`pid ${process.pid}\n`)
const losses: number[] = []
await trainer.run(folder, {
  onProgress: ({ step, record }) => {
    if (record?.step === step) losses.push(Number(record.loss))
    if (backend.processes.rank === 0) process.stdout.write(`${step}\n`)
  },
})
const values = await parameterValues(trainer)
if (backend.processes.rank === 0) writeFileSync(`${folder}.json`, JSON.stringify({ losses, values }))
await backend.processes.leave()
