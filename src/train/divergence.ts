/** What a run leaves when its loss is no longer finite: the batch, and the equation that gave the first NaN. */
import { join } from 'node:path'
import { SwitchyardError } from '../base/errors.js'
import type { HostTensor } from '../base/host-tensor.js'
import { sourceOf } from '../checkpoint/format.js'
import { safetensors } from '../checkpoint/safetensors.js'
import type { PackedFeatures } from '../data/converters/batch.js'
import { debugNaNs } from '../engine/api/debug.js'
import * as np from '../engine/api/np.js'
import type { TensorTree } from '../engine/api/tracing.js'
import { valueAndGrad } from '../engine/api/transforms.js'
import type { Batch } from '../model/types.js'
import { inParts, lossOfPart } from './accumulate.js'
import type { PartScalars } from './accumulate.js'
import type { Optimizer } from './optimizers/optimizer.js'
import { runFiles } from './run-files.js'
import { trainStepFunction } from './step.js'
import type { Loss, StepInputs, TrainArrays } from './step.js'

/** A step whose loss or gradient is not finite. */
export interface Divergence {
  readonly step: number
  readonly learningRate: number
  readonly loss: number
  readonly gradientNorm: number
  readonly features: PackedFeatures
}

/** Saves the batch of a step, with the step's figures as metadata, in the run's folder. Returns the file's path. */
export async function saveBatch(
  folder: string,
  { step, learningRate, loss, gradientNorm, features }: Divergence,
): Promise<string> {
  const path = join(folder, runFiles.diverged(step))
  const figures = { step, learningRate, loss, gradientNorm }
  const metadata = Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, String(value)]))
  await safetensors.write(path, sourceOf(new Map<string, HostTensor>(Object.entries(features))), { metadata })
  return path
}

/** The functions of a step that can be run equation by equation. */
export interface DebuggedStep {
  readonly loss: Loss<Batch>
  readonly optimizer: Optimizer
  readonly clipNorm: number | null
  readonly accumulate: number
}

/**
 * Runs one step in the interpreter, equation by equation, which is slow. Returns a sentence that names the first
 * equation with a NaN in its result and none in its operands; undefined if the step has no NaN.
 */
export async function findNaN(
  { loss, optimizer, clipNorm, accumulate }: DebuggedStep,
  arrays: TrainArrays,
  inputs: StepInputs<Batch>,
): Promise<string | undefined> {
  try {
    if (accumulate === 1) {
      await debugNaNs(trainStepFunction(loss, optimizer, clipNorm))(arrays, inputs)
    } else {
      const gradients = debugNaNs((params: TensorTree, batch: Batch, scalars: PartScalars) =>
        valueAndGrad((p: TensorTree) => lossOfPart(loss, p, batch, scalars), { hasAux: true })(params),
      )
      const { key, step } = inputs
      const batch = inParts(inputs.batch, accumulate)
      for (let i = 0; i < accumulate; i++)
        await gradients(arrays.params, batch, { key, step, index: np.array(i, 'int32') })
    }
    return undefined
  } catch (error) {
    if (error instanceof SwitchyardError && error.message.startsWith('NaN came from')) return error.message
    throw error
  }
}
