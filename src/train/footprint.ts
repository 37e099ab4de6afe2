import { FileError, SwitchyardError } from '../base/errors.js'
import { countOf, formatBytes } from '../base/format.js'
import { freeDiskSpace } from '../checkpoint/disk-space.js'
import { memoryProblem } from '../checkpoint/free-memory.js'
import { stepElements } from './activations.js'
import type { RunConfig } from './config.js'
import { proposeSmaller } from './proposals.js'
import type { ShareOfRun, StateBytes } from './state-bytes.js'

/** Node, ONNX Runtime, the program and a data set of 100,000 short examples. */
const BASE_BYTES = 275 * 2 ** 20

/**
 * An estimate of the memory that training takes at most. Its terms are what the program holds; its factors were fitted
 * to the peak resident memory of ten runs (1.6 to 40 million parameters, 1,024 to 8,192 tokens a step): it is within
 * 12% of each. Saves in the background and averages take 15 to 20% less than it says. `share`: what a process of a run
 * on a mesh has of the run, or all processes of this machine.
 */
export function trainingBytes(
  config: RunConfig,
  { params, optimizer, frozen = 0, teacher = 0 }: StateBytes,
  share: ShareOfRun = { state: 1, batch: 1 },
): number {
  // The state exists twice, as it was initialized or read and in the memory in which it is updated. The gradients exist
  // in ONNX Runtime's memory, transposed for a matmul, and where the optimizer reads them. Adam's update is made in
  // place; Adafactor's, whose state is smaller than the parameters, holds two more values of their size.
  const copies = optimizer < params ? 5 : 3
  // A checkpoint that is saved in the background is written from a copy of the state.
  const saved = config.train.asyncSave ? params + optimizer + frozen : 0
  // Gradient accumulation adds the gradients of the parts up. Frozen parameters exist as they are read and as they are
  // used.
  const sums = config.train.accumulate > 1 ? params : 0
  const state = 2 * (params + optimizer + frozen) + copies * params + sums
  // Texts are answered by one process of several, which then has all parameters: as arrays, and in ONNX Runtime.
  const whole = share.answers ? 2 * (params + frozen) : 0
  const { processes = 1 } = share
  // A teacher's arrays are used where they were read.
  return (
    processes * (BASE_BYTES + teacher) + (saved + state) * share.state + whole + activationBytes(config) * share.batch
  )
}

/** The float32 values of one part of a batch, with their gradients. */
function activationBytes({ model, router, train, distill }: RunConfig): number {
  const slotsPerToken = Math.max(1, router.trainCapacityFactor ?? 1)
  const { activations, logits } = stepElements(model, {
    ...train,
    rows: train.rows / train.accumulate,
    slotsPerToken: { encoder: slotsPerToken, decoder: slotsPerToken },
    hasTeacher: distill !== null,
  })
  return 4 * (activations + logits)
}

/**
 * Throws a SwitchyardError with the numbers, and with settings that fit, if training would take more memory than is
 * free. `where`: what the message begins with.
 */
export function requireMemory(
  config: RunConfig,
  state: StateBytes,
  free?: number,
  { share, where = '' }: { share?: ShareOfRun; where?: string } = {},
): void {
  const estimate = (run: RunConfig, bytes: StateBytes): number => trainingBytes(run, bytes, share)
  const answers = share?.answers ? '; this process also evaluates, with all parameters' : ''
  const task = `${where}training (parameters and optimizer: ${formatBytes(state.params + state.optimizer)}${answers})`
  const problem = memoryProblem(
    task,
    estimate(config, state),
    bytes => proposeSmaller(config, state, bytes, estimate),
    free,
  )
  if (problem !== undefined) throw new SwitchyardError(problem)
}

/** Throws a FileError if the checkpoints that a run is still to make would fill the disk of its folder. */
export async function requireDisk(
  folder: string,
  { train }: RunConfig,
  step: number,
  state: StateBytes,
): Promise<void> {
  const each = state.params + state.optimizer + (state.frozen ?? 0)
  const saves = Math.ceil((train.steps - step) / train.checkpointEvery)
  const forEver =
    train.keepEvery === null ? 0 : Math.floor(train.steps / train.keepEvery) - Math.floor(step / train.keepEvery)
  // The oldest checkpoint is deleted when the next one is in place. A run that is resumed has some already.
  const files = (keep: number): number => forEver + (step > 0 ? 1 : Math.min(saves, keep + 1))
  const free = await freeDiskSpace(folder)
  if (files(train.keep) * each <= free) return
  const keep = Math.floor(free / each) - 1 - forEver
  throw new FileError(
    `${folder}: ${countOf(files(train.keep), 'checkpoint')} of ${formatBytes(each)} must be saved here, and this disk has ${formatBytes(free)} free: ` +
      (keep >= 1 && step === 0 ? `train.keep=${keep} would fit` : 'free some space, or use another disk'),
  )
}
