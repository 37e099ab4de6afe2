/** Making the steps before a NaN again, to name the equation that gave it: exact resume makes the same NaN. */
import { join } from 'node:path'
import { SwitchyardError } from '../base/errors.js'
import { loadCheckpoint } from '../checkpoint/native.js'
import type { Checkpoint } from '../checkpoint/native.js'
import * as np from '../engine/api/np.js'
import { batchOf } from './batch.js'
import { expectedOf, readTree } from './checkpointing.js'
import { findNaN, saveBatch } from './divergence.js'
import type { Divergence } from './divergence.js'
import { currentJob } from './job/job.js'
import { gatherOnFirst } from './job/saved-parts.js'
import type { Pace } from './pace.js'
import type { RunArrays } from './model-parts.js'
import { layoutsByPath } from './parallel/arrays.js'
import type { TrainerParts } from './parts.js'
import { sendStep } from './send-step.js'

/** A run's arrays after some steps. The position of its data is in `TrainerParts.batches`. */
export interface Position {
  arrays: RunArrays
  /** How many steps were made. */
  step: number
}

/**
 * Makes the steps before `step` (from 1) without saving anything, then runs that step in the interpreter. Returns a
 * sentence that names the first equation with a NaN in its result and none in its operands; undefined if there is none.
 */
export async function replay(parts: TrainerParts, position: Position, step: number): Promise<string | undefined> {
  while (position.step < step - 1) {
    const { arrays, sent } = await sendStep(parts, position.arrays, position.step, false)
    position.arrays = arrays
    position.step++
    // Without waiting, all steps would be in the backend's queue at once.
    await sent.metrics.loss.item()
  }
  const { features } = await parts.batches.next()
  // One process of several interprets the step, on whole arrays.
  const job = currentJob()
  const arrays = job.several ? ((await gatherOnFirst(position.arrays)) as RunArrays | null) : position.arrays
  return job.fromFirst(() =>
    findNaN(parts.debugged(arrays!.frozen), arrays!, {
      batch: batchOf(features),
      key: parts.stepKey,
      step: np.array(position.step + parts.firstUpdate, 'int32'),
      learningRate: np.array(parts.schedule(position.step)),
    }),
  )
}

export interface ExplainOptions {
  readonly parts: TrainerParts
  readonly folder: string
  /** The step of the newest checkpoint; undefined if there is none. */
  readonly savedStep: number | undefined
  /** The position of the data before the first step. */
  readonly firstBatches: unknown
  /** What is left of the run, for the error. */
  readonly remains: string
  readonly pace: Pace
  readonly onNotice?: (message: string) => void
}

/** Limits of the search for the equation that gave a NaN, which the end of a run makes unasked. */
const MAX_SECONDS = 60
const MAX_FLOPS = 1e10

/**
 * The error for a step whose loss or gradient is not finite. Saves the step's batch. Names the equation that gave the
 * first NaN, if that takes about a minute at most.
 */
export async function explainDivergence(
  divergence: Divergence,
  { parts, folder, savedStep, firstBatches, remains, pace, onNotice }: ExplainOptions,
): Promise<SwitchyardError> {
  const job = currentJob()
  const path = job.isFirst ? await saveBatch(folder, divergence) : folder
  const { step, loss, gradientNorm } = divergence
  const what = Number.isFinite(loss) ? `the gradient's norm is ${gradientNorm}` : `the loss is ${loss}`
  const steps = step - 1 - (savedStep ?? 0)
  // How long it takes differs between processes, which would have to agree.
  const isQuick =
    job.several === null && (steps === 0 || pace.secondsFor(steps) < MAX_SECONDS) && parts.flopsPerStep() < MAX_FLOPS
  let cause = `train --resume ${folder} --debug-nans names the equation`
  if (isQuick) {
    onNotice?.(`${what} at step ${step}: making the steps from ${savedStep ?? 0} again, to find the equation`)
    cause = (await replay(parts, await rewind(parts, folder, savedStep, firstBatches), step)) ?? 'no equation gives NaN'
  }
  return new SwitchyardError(
    `${what} at step ${step}: ${cause}. The step's batch is in ${path}; ${remains}. A lower train.schedule.peak or train.clipNorm may help`,
  )
}

/** The position of a run at one of its checkpoints, or at its beginning. */
async function rewind(
  parts: TrainerParts,
  folder: string,
  savedStep: number | undefined,
  firstBatches: unknown,
): Promise<Position> {
  if (savedStep === undefined) {
    parts.batches.restore(firstBatches)
    return { arrays: parts.initialize(), step: 0 }
  }
  const checkpoint = await loadCheckpoint(join(folder, `step-${savedStep}`))
  try {
    parts.batches.restore(checkpoint.data)
    return { arrays: await readArrays(parts, checkpoint), step: savedStep }
  } finally {
    await checkpoint.close()
  }
}

/** Reads the arrays of a checkpoint of a run, which has an optimizer's state. */
export async function readArrays(
  { places, types, layouts }: TrainerParts,
  { params, optimizer }: Pick<Checkpoint, 'params' | 'optimizer'>,
): Promise<RunArrays> {
  const stored = places.stored(types())
  const on = layouts && places.stored(layouts)
  return places.live({
    params: await readTree(params, expectedOf(stored.params), on && layoutsByPath(on.params)),
    optimizer: await readTree(optimizer!, expectedOf(stored.optimizer), on && layoutsByPath(on.optimizer)),
  }) as RunArrays
}
