import type { Tensor } from '../engine/api/tensor.js'
import type { TensorTree } from '../engine/api/tracing.js'
import type { NamedSharding } from '../engine/program/sharding.js'
import type { LossOptions } from '../model/loss.js'
import type { Batch, ModelParams } from '../model/types.js'
import type { ModelParts, RunArrays } from './model-parts.js'
import { jitOnMesh } from './parallel/jit-on-mesh.js'
import { spreadOver } from './parallel/spread.js'
import { evaluateBatch } from './target-figures.js'
import type { BatchFigures } from './target-figures.js'
import { scaledAdapters } from './trainable/adapters.js'
import type { LoraConfig } from './trainable/config.js'

/**
 * `evaluateBatch` for the arrays of a run on a mesh, which stay where they are: a batch's rows are divided as in
 * training. undefined for a run on one device.
 */
export function evaluatorOnMesh(
  { layouts, places }: Pick<ModelParts, 'layouts' | 'places'>,
  lora: LoraConfig,
  options: Omit<LossOptions, 'mode'>,
): ((arrays: RunArrays) => (batch: Batch) => BatchFigures) | undefined {
  if (layouts === null) return undefined
  const evaluate = jitOnMesh(
    function validate(params: TensorTree, batch: Batch): BatchFigures & { [name: string]: Tensor } {
      const adapted = scaledAdapters(params, lora) as unknown as ModelParams
      return { ...evaluateBatch(adapted, batch, { ...options, ...spreadOver(layouts) }) }
    },
    layouts,
    on => ({ in: [places.used<NamedSharding>(on), on.batch], out: on.everywhere }),
  )
  return arrays => {
    const params = places.used<Tensor>(arrays) as TensorTree
    return batch => evaluate(params, batch)
  }
}
