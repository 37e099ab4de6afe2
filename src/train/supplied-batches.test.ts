import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { config, task } from '../../test/train/small-run.js'
import { leavesWithPaths } from '../base/pytree.js'
import { SeqioBatches } from '../data/batches/seqio-batches.js'
import { mapDataset } from '../data/dataset.js'
import type { Tensor } from '../engine/api/tensor.js'
import { openCheckpoint } from './checkpointing.js'
import { Trainer } from './trainer.js'
import type { BatchSize } from './values.js'

/** The task's examples in SeqIO's order and packing. */
const makeBatches = (size: BatchSize): SeqioBatches =>
  new SeqioBatches(
    mapDataset(task.tokens('train'), ({ inputs, targets }) => ({ inputs, targets })),
    {
      ...size,
      preprocessors: [],
      features: { inputs: { vocabulary: task.codec.inputs }, targets: { vocabulary: task.codec.targets } },
      shuffleBufferSize: 8,
    },
  )

const valuesOf = (trainer: Trainer): Promise<number[][]> =>
  Promise.all(leavesWithPaths<Tensor>(trainer.params).map(([, array]) => array.numbers()))

it('trains on the batches of a program, and resumes them exactly', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-'))
  try {
    const whole = await Trainer.begin(config, { task, makeBatches })
    await whole.run(folder)
    const expected = await valuesOf(whole)
    const checkpoint = await openCheckpoint(join(folder, 'step-4'))
    const resumed = await Trainer.resume(config, checkpoint, { task, makeBatches })
    await checkpoint.close()
    await resumed.run(folder)
    expect(await valuesOf(resumed)).toEqual(expected)
    const other = await Trainer.begin(config, { task })
    await other.run(join(folder, 'other'))
    expect(await valuesOf(other)).not.toEqual(expected)
  } finally {
    await rm(folder, { recursive: true })
  }
})
