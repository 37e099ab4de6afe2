import type { PackedFeatures } from '../data/converters/batch.js'
import { packBatch } from '../data/open-rows.js'
import type { SplitName } from '../data/source.js'
import type { Task } from '../data/task.js'
import { jit } from '../engine/api/jit.js'
import { lossFunction } from '../model/loss.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import type { Batch, ModelParams } from '../model/types.js'
import type { Router } from '../nn/moe/router.js'
import { batchOf } from './batch.js'

/** What a model does on the examples of a task. */
export interface ModelUse {
  /** The mean cross entropy of the targets, in nats, and the share that is predicted right. */
  readonly crossEntropy: number
  readonly accuracy: number
  /** The share of tokens that each expert of a layer takes, by the layer's path: `encoder/layers_1`. */
  readonly loads: ReadonlyMap<string, readonly number[]>
}

const lengths = { inputs: 128, targets: 128 }

/** The examples of a split as packed batches. Those longer than 128 tokens are left out. */
export function packedSplit(task: Task, split: SplitName): PackedFeatures[] {
  const tokens = task.tokens(split, { lengths, seed: 0 })
  const examples = Array.from({ length: tokens.length }, (_, i) => tokens.get(i)).filter(
    ({ inputs, targets }) => inputs.length <= lengths.inputs && targets.length <= lengths.targets,
  )
  const batches: PackedFeatures[] = []
  for (let rest = examples; rest.length > 0;) {
    const packed = packBatch(rest, { rows: 8, inputLength: lengths.inputs, targetLength: lengths.targets })
    batches.push(packed.features)
    rest = packed.rest
  }
  return batches
}

/** Measures a model on batches. Figures are means over the targets; each batch counts equally for the loads. */
export async function measureUse(
  params: ModelParams,
  { model, router, customRouter }: { model: ModelConfig; router: RouterConfig; customRouter?: Router },
  batches: readonly PackedFeatures[],
): Promise<ModelUse> {
  const evaluate = jit(function measureUse(parameters: ModelParams, batch: Batch) {
    return lossFunction(parameters, batch, { config: model, router, customRouter, mode: 'eval' })[1]
  })
  const loads = new Map<string, number[]>()
  let [crossEntropy, accuracy, targets] = [0, 0, 0]
  for (const features of batches) {
    const metrics = evaluate(params, batchOf(features))
    const weight = await metrics.targetTokens.item()
    crossEntropy += weight * (await metrics.crossEntropy.item())
    accuracy += weight * (await metrics.accuracy.item())
    targets += weight
    for (const [name, load] of Object.entries(metrics).filter(([key]) => key.startsWith('expertLoad/'))) {
      const shares = await load.numbers()
      const layer = name.slice('expertLoad/'.length)
      loads.set(
        layer,
        shares.map((share, i) => (loads.get(layer)?.[i] ?? 0) + share / batches.length),
      )
    }
  }
  return { crossEntropy: crossEntropy / targets, accuracy: accuracy / targets, loads }
}
