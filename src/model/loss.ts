import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { check } from '../base/errors.js'
import { smoothedCrossEntropy } from '../nn/cross-entropy.js'
import { oneDevice } from '../nn/device-group.js'
import { distillationLoss } from '../nn/distillation.js'
import { weightedMean } from '../nn/weighted-mean.js'
import { forward } from './forward.js'
import type { StackName } from './config.js'
import { meaningOf } from './meaning.js'
import { meanOf } from './router-losses.js'
import type { StackRouters } from './router-losses.js'
import type { Batch, ForwardOptions, ForwardOutput, LayerRecord, Metrics, ModelParams } from './types.js'

export interface LossOptions extends ForwardOptions {
  /** Factor of the mean square of log(sum(exp(logits))), which keeps logits from drifting. Default: the meaning's. */
  zLossFactor?: number
  /**
   * The share of a target's probability that is spread over all other tokens: see `smoothedCrossEntropy`. Default: 0.
   */
  labelSmoothing?: number
  /** A teacher, whose probabilities are learned beside the targets. Default: none. */
  distillation?: Distillation
}

/** What a batch's loss needs of a teacher (knowledge distillation). */
export interface Distillation {
  readonly teacherLogits: Tensor // [batch, length, vocab], float32
  /** The factor of the cross entropy of the targets. */
  readonly hardWeight: number
  /** The factor of the divergence from the teacher's probabilities. */
  readonly softWeight: number
  readonly temperature: number
}

/**
 * The training loss, a float32 scalar, and metrics to log. The loss is the sum of its terms, each a metric with its
 * factor applied: `crossEntropy` (mean over the targets, by their weights, in nats), `zLoss`, `auxLoss` (load
 * balancing) and `routerZLoss`; and with a teacher `softLoss` (mean of `distillationLoss` over the targets). On several
 * devices (`options.devices`), the loss is this device's share of it, and metrics are sums over the devices.
 */
export const lossFunction = (
  params: ModelParams,
  batch: Batch,
  options: LossOptions,
): [loss: Tensor, metrics: Metrics] => lossOf(forward(params, batch, options), batch, options)

/** The loss and metrics of a forward pass's output. */
export function lossOf(
  { logits, routers }: Pick<ForwardOutput, 'logits' | 'routers'>,
  batch: Batch,
  options: LossOptions,
): [loss: Tensor, metrics: Metrics] {
  const { decoder_target_tokens: targets } = batch
  const weights = np.astype(batch.decoder_loss_weights, 'float32') // [batch, length]
  const { loss, logZ } = smoothedCrossEntropy(logits, targets, options.labelSmoothing ?? 0) // [batch, length] each
  const zLossFactor = options.zLossFactor ?? meaningOf(options).zLossFactor
  const { devices = oneDevice } = options
  const mean = (x: Tensor): Tensor => weightedMean(x, weights, devices) // []
  const hardLoss = mean(loss) // []
  const terms = {
    ...(options.distillation
      ? distillationTerms(hardLoss, logits, mean, options.distillation)
      : { crossEntropy: hardLoss }),
    zLoss: np.multiply(mean(np.square(logZ)), zLossFactor),
    ...routerLosses(routers, options),
  }
  const total = Object.values(terms).reduce((a, b) => np.add(a, b)) // []
  const correct = np.astype(np.equal(np.argmax(logits), targets), 'float32') // [batch, length]
  return [
    total,
    {
      ...devices.total({ loss: total, ...terms, accuracy: mean(correct), targetTokens: np.sum(weights) }),
      ...routerMetrics(routers),
    },
  ]
}

/** The two terms that take the place of the cross entropy where there is a teacher. */
function distillationTerms(
  hardLoss: Tensor,
  logits: Tensor,
  mean: (x: Tensor) => Tensor,
  { teacherLogits, hardWeight, softWeight, temperature }: Distillation,
): { crossEntropy: Tensor; softLoss: Tensor } {
  check(
    teacherLogits.shape.join() === logits.shape.join(),
    () =>
      `the teacher's logits have the shape [${teacherLogits.shape}], and the student's [${logits.shape}]: both need the same vocabulary (model.vocabSize) and a logit for every target`,
  )
  const divergence = mean(distillationLoss(logits, teacherLogits, temperature)) // []
  return { crossEntropy: np.multiply(hardLoss, hardWeight), softLoss: np.multiply(divergence, softWeight) } // [] each
}

/** The two terms of the loss that routers add, with their factors applied. */
function routerLosses(
  routers: readonly LayerRecord[],
  options: ForwardOptions,
): { auxLoss: Tensor; routerZLoss: Tensor } {
  const { auxLossFactor, zLossFactor } = options.router
  const { numEncoderLayers, numDecoderLayers } = options.config
  const { auxLoss, zLoss } = meaningOf(options).routerLosses([
    { ...stackRouters('encoder', routers, numEncoderLayers), devices: options.devices },
    { ...stackRouters('decoder', routers, numDecoderLayers), devices: options.devices },
  ])
  return { auxLoss: np.multiply(auxLoss, auxLossFactor), routerZLoss: np.multiply(zLoss, zLossFactor) } // [] each
}

/** The records of one stack's routers. */
export const stackRouters = (stack: StackName, routers: readonly LayerRecord[], numLayers: number): StackRouters => ({
  records: routers.filter(r => r.stack === stack).map(r => r.record),
  numLayers,
})

/**
 * Statistics of the routers: means over the sparse layers, the total of dead experts, and the load of each layer's
 * experts.
 */
function routerMetrics(routers: readonly LayerRecord[]): Metrics {
  if (routers.length === 0) return {}
  const statistics = routers.map(r => r.record.statistics)
  return {
    shareDropped: meanOf(statistics.map(s => s.shareDropped)),
    routerEntropy: meanOf(statistics.map(s => s.entropy)),
    routerConfidence: meanOf(statistics.map(s => s.confidence)),
    expertUsage: meanOf(statistics.map(s => s.expertUsage)),
    deadExperts: statistics.map(s => s.deadExperts).reduce((a, b) => np.add(a, b)), // []
    ...Object.fromEntries(
      routers.map(({ stack, layer, record }) => [`expertLoad/${stack}/layers_${layer}`, record.statistics.load]),
    ),
  }
}
