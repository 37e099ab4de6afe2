import type { PackedFeatures } from '../data/converters/batch.js'
import { jit } from '../engine/api/jit.js'
import { lossFunction } from '../model/loss.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import type { Meaning } from '../model/meaning.js'
import type { Batch, Metrics, ModelParams } from '../model/types.js'
import type { Router } from '../nn/moe/router.js'
import { targetFigures } from './target-figures.js'
import type { BatchFigures, TargetFigures } from './target-figures.js'

/** What a model does on the examples of a task. */
export interface ModelUse extends TargetFigures {
  /** The share of tokens that each expert of a layer takes, by the layer's path: `encoder/layers_1`. */
  readonly loads: ReadonlyMap<string, readonly number[]>
}

/** The rows that a model is measured on: examples longer than 128 tokens are left out. */
export const measuredRows = { rows: 8, inputLength: 128, targetLength: 128, seed: 0, limit: null }

interface MeasuredModel {
  readonly model: ModelConfig
  readonly router: RouterConfig
  readonly customRouter?: Router
  readonly meaning?: Meaning
}

/** Measures a model on batches. Figures are means over the targets; each batch counts equally for the loads. */
export async function measureUse(
  params: ModelParams,
  { model, router, customRouter, meaning }: MeasuredModel,
  batches: readonly PackedFeatures[],
): Promise<ModelUse> {
  const evaluate = jit(function measureUse(parameters: ModelParams, batch: Batch) {
    const options = { config: model, router, customRouter, meaning, mode: 'eval' } as const
    const [, metrics] = lossFunction(parameters, batch, options)
    return metrics as Metrics & BatchFigures
  })
  const loads = new Map<string, number[]>()
  const addLoads = async (metrics: Metrics): Promise<void> => {
    for (const [name, load] of Object.entries(metrics).filter(([key]) => key.startsWith('expertLoad/'))) {
      const shares = await load.numbers()
      const layer = name.slice('expertLoad/'.length)
      loads.set(
        layer,
        shares.map((share, i) => (loads.get(layer)?.[i] ?? 0) + share / batches.length),
      )
    }
  }
  const figures = await targetFigures(batches, batch => evaluate(params, batch), addLoads)
  return { ...figures, loads }
}
