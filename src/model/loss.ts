import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { softmaxCrossEntropy } from '../nn/cross-entropy.js'
import { loadBalancingLoss } from '../nn/moe/losses.js'
import { weightedMean } from '../nn/weighted-mean.js'
import { forward } from './forward.js'
import { stackLayers } from './config.js'
import type { ModelConfig, StackName } from './config.js'
import type { Batch, ForwardOptions, ForwardOutput, LayerRecord, Metrics, ModelParams } from './types.js'

export interface LossOptions extends ForwardOptions {
  /** Factor of the mean square of log(sum(exp(logits))), which keeps logits from drifting. Default 1e-4, as T5X; none for HF. */
  zLossFactor?: number
}

/**
 * The training loss, and what to log. The loss is the sum of four terms, each a metric of its own, with their
 * factors applied: `crossEntropy` (mean over the targets that count, in nats), `zLoss`, `auxLoss` (load balancing), `routerZLoss`.
 */
export const lossFunction = (
  params: ModelParams,
  batch: Batch,
  options: LossOptions,
): [loss: Tensor, metrics: Metrics] => lossOf(forward(params, batch, options), batch, options)

/** The loss of a forward pass that has been done. */
export function lossOf(
  { logits, routers }: Pick<ForwardOutput, 'logits' | 'routers'>,
  batch: Batch,
  options: LossOptions,
): [loss: Tensor, metrics: Metrics] {
  const { decoder_target_tokens: targets } = batch
  const weights = np.astype(batch.decoder_loss_weights, 'float32') // [batch, length]
  const { loss, logZ } = softmaxCrossEntropy(logits, targets) // [batch, length] each
  const zLossFactor = options.zLossFactor ?? (options.config.reference === 'hf' ? 0 : 1e-4)
  const terms = {
    crossEntropy: weightedMean(loss, weights),
    zLoss: np.multiply(weightedMean(np.square(logZ), weights), zLossFactor),
    ...routerLosses(routers, options),
  }
  const total = Object.values(terms).reduce((a, b) => np.add(a, b))
  const correct = np.astype(np.equal(np.argmax(logits), targets), 'float32') // [batch, length]
  return [
    total,
    {
      loss: total,
      ...terms,
      accuracy: weightedMean(correct, weights),
      targetTokens: np.sum(weights),
      ...routerMetrics(routers),
    },
  ]
}

/** Before their factors. */
interface RouterLosses {
  auxLoss: Tensor
  zLoss: Tensor
} // []

function routerLosses(
  routers: readonly LayerRecord[],
  options: ForwardOptions,
): { auxLoss: Tensor; routerZLoss: Tensor } {
  const { auxLossFactor, zLossFactor } = options.router
  const { auxLoss, zLoss } =
    options.config.reference === 'hf'
      ? hfRouterLosses(routers, options)
      : {
          auxLoss: meanOf(routers.map(r => r.record.auxLoss)),
          zLoss: meanOf(routers.map(r => r.record.zLoss)),
        }
  return { auxLoss: np.multiply(auxLoss, auxLossFactor), routerZLoss: np.multiply(zLoss, zLossFactor) }
}

/** HF adds up the stacks. */
function hfRouterLosses(routers: readonly LayerRecord[], { config }: ForwardOptions): RouterLosses {
  const [encoder, decoder] = (['encoder', 'decoder'] as const).map(stack => hfStackLosses(stack, routers, config))
  return { auxLoss: np.add(encoder.auxLoss, decoder.auxLoss), zLoss: np.add(encoder.zLoss, decoder.zLoss) }
}

/** HF lays a stack's layers end to end before it takes means, and leaves out a stack all of whose layers are sparse. */
export function hfStackLosses(stack: StackName, routers: readonly LayerRecord[], config: ModelConfig): RouterLosses {
  const records = routers.filter(r => r.stack === stack).map(r => r.record)
  if (records.length === 0 || stackLayers(config, stack).every(layer => layer.sparse))
    return { auxLoss: np.zeros([]), zLoss: np.zeros([]) }
  const fraction = meanOf(records.map(r => r.fraction)) // [groups, experts]
  const meanProbability = meanOf(records.map(r => r.meanProbability)) // [groups, experts]
  return {
    auxLoss: loadBalancingLoss(fraction, meanProbability, np.ones([fraction.shape[0]])),
    zLoss: meanOf(records.map(r => r.zLoss)),
  }
}

/** Means over the sparse layers, the number of dead experts over all of them, and the load of each layer's experts. */
function routerMetrics(routers: readonly LayerRecord[]): Metrics {
  if (routers.length === 0) return {}
  const statistics = routers.map(r => r.record.statistics)
  return {
    shareDropped: meanOf(statistics.map(s => s.shareDropped)),
    routerEntropy: meanOf(statistics.map(s => s.entropy)),
    routerConfidence: meanOf(statistics.map(s => s.confidence)),
    expertUsage: meanOf(statistics.map(s => s.expertUsage)),
    deadExperts: statistics.map(s => s.deadExperts).reduce((a, b) => np.add(a, b)),
    ...Object.fromEntries(
      routers.map(({ stack, layer, record }) => [`expertLoad/${stack}/layers_${layer}`, record.statistics.load]),
    ),
  }
}

const meanOf = (xs: readonly Tensor[]): Tensor =>
  xs.length === 0
    ? np.zeros([])
    : np.divide(
        xs.reduce((a, b) => np.add(a, b)),
        xs.length,
      )
