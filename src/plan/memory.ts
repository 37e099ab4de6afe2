import { missingValue } from '../base/custom.js'
import { sizeOf } from '../base/host-tensor.js'
import { declareParameters } from '../model/parameters.js'
import type { ModelConfig } from '../model/config.js'
import { stepElements } from '../train/activations.js'
import type { RunConfig } from '../train/config.js'
import { factoringOf } from '../train/optimizers/factoring.js'
import type { OptimizerConfig } from '../train/optimizers/optimizers.js'
import { declareAdapters } from '../train/trainable/adapters.js'
import type { TrainableSpec } from '../train/trainable/adapters.js'
import { trainedPaths } from '../train/trainable/freeze.js'
import { batchShards, localShape } from './mesh-shape.js'
import type { MeshShape } from './mesh-shape.js'
import type { BatchSize } from './slots.js'

/** The arrays of a run: those that are trained, and those that are not. */
export interface RunSpecs {
  readonly trained: readonly TrainableSpec[]
  readonly frozen: readonly TrainableSpec[]
}

/** The declarations of a run's arrays. Throws a ConfigError for patterns that match no parameter. */
export function runSpecs({ model, router, train }: Pick<RunConfig, 'model' | 'router' | 'train'>): RunSpecs {
  const specs = declareParameters(model, router)
  const trainable = train.lora.rank === 0 ? specs : declareAdapters(specs, train.lora)
  const paths = trainedPaths(
    train.freeze,
    trainable.map(({ path }) => path),
  )
  const isTrained = ({ path }: TrainableSpec): boolean => paths.has(path)
  return {
    trained: trainable.filter(isTrained),
    frozen: [...trainable.filter(spec => !isTrained(spec)), ...(train.lora.rank === 0 ? [] : specs)],
  }
}

/** The elements of one device's parts of some arrays. */
export const localElements = (specs: readonly TrainableSpec[], mesh: MeshShape): number =>
  specs.reduce((sum, spec) => sum + sizeOf(localShape(spec, mesh)), 0)

/** The bytes that one device holds during a training step. */
export interface DeviceMemory {
  readonly parameters: number
  readonly optimizer: number
  readonly gradients: number
  /** Parameters rounded to the dtype of the computation. */
  readonly rounded: number
  readonly activations: number
  readonly logits: number
}

export const totalBytes = (memory: DeviceMemory): number => Object.values(memory).reduce((a, b) => a + b, 0)

/**
 * The memory of one device during a training step. Parameters, optimizer state and gradients are float32; each is
 * divided as its parameter is. `part` is the part of a batch that is computed at once.
 */
export function deviceMemory(
  { model, train, distill }: RunConfig,
  { trained, frozen }: RunSpecs,
  mesh: MeshShape,
  part: BatchSize,
  slots: { encoder: number; decoder: number },
): DeviceMemory {
  const ofTrained = localElements(trained, mesh)
  const parameters = ofTrained + localElements(frozen, mesh)
  const state = trained.reduce((sum, spec) => sum + stateElements(spec, train.optimizer, mesh), 0)
  const largest = Math.max(...[...trained, ...frozen].map(spec => sizeOf(localShape(spec, mesh))))
  const kept = keptBytes({ model, distill }, mesh, part, slots, train.remat)
  return {
    parameters: 4 * parameters,
    optimizer: 4 * (state + (train.averageDecay === null ? 0 : ofTrained)),
    // The sum of several parts' gradients exists beside the gradients of one part.
    gradients: 4 * ofTrained * (train.accumulate > 1 ? 2 : 1),
    rounded: model.dtype === 'bfloat16' ? 2 * (train.remat ? largest : parameters) : 0,
    ...kept,
  }
}

/** The bytes that a step keeps for its backward pass on one device. */
export function keptBytes(
  { model, distill }: Pick<RunConfig, 'model' | 'distill'>,
  mesh: MeshShape,
  part: BatchSize,
  slotsPerToken: { encoder: number; decoder: number },
  remat: boolean,
): { activations: number; logits: number } {
  const { activations, logits } = stepElements(localModel(model, mesh), {
    ...part,
    rows: part.rows / batchShards(mesh),
    remat,
    slotsPerToken,
    hasTeacher: distill !== null,
  })
  // An estimate, in whole bytes.
  return { activations: Math.round((model.dtype === 'bfloat16' ? 2 : 4) * activations), logits: Math.round(4 * logits) }
}

/** A model whose heads, hidden layers and vocabulary are one device's part of those of `model`. */
const localModel = (model: ModelConfig, { tensor }: MeshShape): ModelConfig => ({
  ...model,
  numHeads: model.numHeads / tensor,
  dFf: model.dFf / tensor,
  vocabSize: model.vocabSize % tensor === 0 ? model.vocabSize / tensor : model.vocabSize,
})

/** The elements of an optimizer's state for one device's part of an array. */
function stateElements(spec: TrainableSpec, optimizer: OptimizerConfig, mesh: MeshShape): number {
  const local = localShape(spec, mesh)
  switch (optimizer.kind) {
    case 'adamW':
      return 2 * sizeOf(local)
    case 'adafactor': {
      const { factors } = factoringOf(spec, optimizer.minSizeToFactor)
      if (factors === null) return sizeOf(local)
      const without = (axes: readonly number[]): number => sizeOf(local.filter((_, axis) => !axes.includes(axis)))
      return without(factors.columns) + without(factors.rows)
    }
    case 'custom':
      throw missingValue('optimizer', optimizer.name)
  }
}

/**
 * The bytes of a decoder's keys and values on one device while it generates answers to a whole batch, in the dtype of
 * the computation.
 */
export const cacheBytes = (
  { numDecoderLayers, numHeads, headDim, dtype }: ModelConfig,
  { rows, inputLength, targetLength }: BatchSize,
  mesh: MeshShape,
): number =>
  ((dtype === 'bfloat16' ? 2 : 4) * 2 * numDecoderLayers * numHeads * headDim * rows * (inputLength + targetLength)) /
  (batchShards(mesh) * mesh.tensor)
