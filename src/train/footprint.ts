import { dtypes } from '../base/dtypes.js'
import type { DType } from '../base/dtypes.js'
import { ConfigError } from '../base/errors.js'
import { formatBytes } from '../base/format.js'
import { sizeOf } from '../base/host-tensor.js'
import { leavesWithPaths } from '../base/pytree.js'
import type { Tree } from '../base/pytree.js'
import { freeDiskSpace } from '../checkpoint/disk-space.js'
import { memoryProblem } from '../checkpoint/free-memory.js'
import { stackLayers } from '../model/config.js'
import { countParameters, declareParameters } from '../model/parameters.js'
import type { RunConfig } from './config.js'

/** The sizes of a run's state, in bytes. */
export interface StateBytes {
  readonly params: number
  readonly optimizer: number
}

interface Typed {
  readonly shape: readonly number[]
  readonly dtype: DType
}

/** The bytes of a run's arrays, which may be given by their types. */
export const stateBytes = ({ params, optimizer }: { params: Tree<Typed>; optimizer: Tree<Typed> }): StateBytes => ({
  params: treeBytes(params),
  optimizer: treeBytes(optimizer),
})

const treeBytes = (tree: Tree<Typed>): number =>
  leavesWithPaths<Typed>(tree).reduce((sum, [, { shape, dtype }]) => sum + sizeOf(shape) * dtypes[dtype].bytes, 0)

/** Node, ONNX Runtime, the program and a data set of 100,000 short examples. */
const BASE_BYTES = 300 * 2 ** 20

/**
 * An estimate of the memory that training takes at most. Its terms are what the program holds; its factors were fitted
 * to the peak resident memory of ten runs (1.6 to 140 million parameters, 512 to 8,192 tokens a step): it is within 6%
 * of each.
 */
export function trainingBytes(config: RunConfig, { params, optimizer }: StateBytes): number {
  // The state exists twice, as it was initialized or read and in the memory in which it is updated. The gradients exist
  // in ONNX Runtime's memory, transposed for a matmul, and where the optimizer reads them. Adam's update is made in
  // place; Adafactor's, whose state is smaller than the parameters, holds two more values of their size.
  const copies = optimizer < params ? 5 : 3
  // A checkpoint that is saved in the background is written from a copy of the state.
  const saved = config.train.asyncSave ? params + optimizer : 0
  return BASE_BYTES + saved + 2 * (params + optimizer) + copies * params + 4 * activationElements(config)
}

/**
 * How many arrays a step holds for each activation, attention score and logit: the value, its gradient and intermediate
 * results.
 */
const COPIES = 2.7
const SCORE_COPIES = 3
const LOGIT_COPIES = 6

/** The elements of the values that one training step keeps for its backward pass, with their gradients. */
function activationElements({ model, router, train }: RunConfig): number {
  const { dModel, dFf, numHeads, headDim, vocabSize } = model
  const { rows, inputLength, targetLength } = train
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
  return [...encoder, ...decoder].reduce((a, b) => a + b, LOGIT_COPIES * rows * targetLength * vocabSize)
}

/**
 * Throws a ConfigError with the numbers, and with a setting that fits, if training would take more memory than is free.
 */
export function requireMemory(config: RunConfig, state: StateBytes, free?: number): void {
  const task = `training (parameters and optimizer: ${formatBytes(state.params + state.optimizer)})`
  const problem = memoryProblem(task, trainingBytes(config, state), bytes => smallerSetting(config, state, bytes), free)
  if (problem !== undefined) throw new ConfigError(problem)
}

/** Saving without a copy, or else the largest number of rows or of experts that fits: halved until it does. */
function smallerSetting(config: RunConfig, state: StateBytes, free: number): string {
  if (trainingBytes({ ...config, train: { ...config.train, asyncSave: false } }, state) <= free)
    return '--set train.asyncSave=false (training waits while a checkpoint is saved) would fit'
  for (let rows = config.train.rows >> 1; rows >= 1; rows >>= 1)
    if (trainingBytes({ ...config, train: { ...config.train, rows } }, state) <= free)
      return `--set train.rows=${rows} would fit`
  const parameters = (numExperts: number): number =>
    countParameters(declareParameters({ ...config.model, numExperts }, config.router))
  for (let numExperts = config.model.numExperts >> 1; numExperts >= 1; numExperts >>= 1) {
    const share = parameters(numExperts) / parameters(config.model.numExperts)
    const smaller = { params: state.params * share, optimizer: state.optimizer * share }
    if (trainingBytes(config, smaller) <= free) return `--set model.numExperts=${numExperts} would fit`
  }
  return 'take a machine with more, or a smaller model'
}

/** Throws a ConfigError if the checkpoints that a run is still to make would fill the disk of its folder. */
export async function requireDisk(
  folder: string,
  { train }: RunConfig,
  step: number,
  state: StateBytes,
): Promise<void> {
  const each = state.params + state.optimizer
  const saves = Math.ceil((train.steps - step) / train.checkpointEvery)
  const forEver =
    train.keepEvery === null ? 0 : Math.floor(train.steps / train.keepEvery) - Math.floor(step / train.keepEvery)
  // The oldest checkpoint is deleted when the next one is in place. A run that is resumed has some already.
  const files = (keep: number): number => forEver + (step > 0 ? 1 : Math.min(saves, keep + 1))
  const free = await freeDiskSpace(folder)
  if (files(train.keep) * each <= free) return
  const keep = Math.floor(free / each) - 1 - forEver
  throw new ConfigError(
    `${folder}: ${files(train.keep)} checkpoints of ${formatBytes(each)} are to be saved here, and this disk has ${formatBytes(free)} free: ` +
      (keep >= 1 && step === 0 ? `--set train.keep=${keep} would fit` : 'free some space, or use another disk'),
  )
}
