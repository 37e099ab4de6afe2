import { FileError, SwitchyardError } from '../base/errors.js'
import { formatBytes } from '../base/format.js'
import { freeDiskSpace } from '../checkpoint/disk-space.js'
import { memoryProblem } from '../checkpoint/free-memory.js'
import { stackLayers } from '../model/config.js'
import type { RunConfig } from './config.js'
import { proposeSmaller } from './proposals.js'
import type { StateBytes } from './state-bytes.js'

/** Node, ONNX Runtime, the program and a data set of 100,000 short examples. */
const BASE_BYTES = 275 * 2 ** 20

/**
 * An estimate of the memory that training takes at most. Its terms are what the program holds; its factors were fitted
 * to the peak resident memory of ten runs (1.6 to 40 million parameters, 1,024 to 8,192 tokens a step): it is within
 * 12% of each. Saves in the background and averages take 15 to 20% less than it says.
 */
export function trainingBytes(config: RunConfig, { params, optimizer, frozen = 0, teacher = 0 }: StateBytes): number {
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
  // A teacher's arrays are used where they were read.
  return BASE_BYTES + saved + state + teacher + 4 * activationElements(config)
}

/**
 * How many arrays a step holds for each activation, attention score and logit: the value, its gradient and intermediate
 * results.
 */
const COPIES = 1.5
const SCORE_COPIES = 1.7
const LOGIT_COPIES = 3.3
/** A teacher's logits and log-probabilities, and those of the student for the comparison. */
const TEACHER_LOGIT_COPIES = 4

/** The elements of the values that one training step keeps for its backward pass, with their gradients. */
function activationElements({ model, router, train, distill }: RunConfig): number {
  const { dModel, dFf, numHeads, headDim, vocabSize } = model
  const { inputLength, targetLength, remat } = train
  const rows = train.rows / train.accumulate
  const perToken = (tokens: number, width: number): number => COPIES * tokens * width
  const attention = (queries: number, keys: number): number =>
    perToken(rows * queries, 4 * numHeads * headDim + 3 * dModel) + SCORE_COPIES * rows * numHeads * queries * keys
  const feedForward = (length: number, sparse: boolean): number =>
    perToken(rows * length, 2 * dFf + 3 * dModel) * (sparse ? Math.max(1, router.trainCapacityFactor ?? 1) : 1)
  const encoder = stackLayers(model, 'encoder').map(
    ({ sparse }) => attention(inputLength, inputLength) + feedForward(inputLength, sparse),
  )
  const decoder = stackLayers(model, 'decoder').map(
    ({ sparse }) =>
      attention(targetLength, targetLength) + attention(targetLength, inputLength) + feedForward(targetLength, sparse),
  )
  const logits = (LOGIT_COPIES + (distill ? TEACHER_LOGIT_COPIES : 0)) * rows * targetLength * vocabSize
  const sum = (layers: readonly number[]): number => layers.reduce((a, b) => a + b, 0)
  if (!remat) return logits + sum([...encoder, ...decoder])
  // With remat, only the inputs of the layers are kept, and one layer at a time has its activations.
  const inputs = perToken(rows, encoder.length * inputLength + decoder.length * targetLength) * dModel
  return logits + inputs + Math.max(...encoder, ...decoder)
}

/**
 * Throws a SwitchyardError with the numbers, and with settings that fit, if training would take more memory than is
 * free.
 */
export function requireMemory(config: RunConfig, state: StateBytes, free?: number): void {
  const task = `training (parameters and optimizer: ${formatBytes(state.params + state.optimizer)})`
  const problem = memoryProblem(
    task,
    trainingBytes(config, state),
    bytes => proposeSmaller(config, state, bytes, trainingBytes),
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
    `${folder}: ${files(train.keep)} checkpoints of ${formatBytes(each)} are to be saved here, and this disk has ${formatBytes(free)} free: ` +
      (keep >= 1 && step === 0 ? `--set train.keep=${keep} would fit` : 'free some space, or use another disk'),
  )
}
