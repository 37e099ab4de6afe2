import { FileError } from '../../base/errors.js'
import type { ModelConfig, RouterConfig } from '../../model/config.js'
import { preset } from '../../model/presets.js'
import type { TensorInfo } from '../format.js'

/**
 * Our configuration for the parameters of a T5X checkpoint. Sizes come from names and shapes. All other settings are
 * those of Flaxformer's Switch models: XXL's if the feed-forward networks are gated, otherwise Base's. `reference` is
 * `t5x`, which computes exactly as T5X does.
 */
export function configFromT5x(
  tensors: readonly TensorInfo[],
  path: string,
): { model: ModelConfig; router: RouterConfig } {
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]))
  const shapeOf = (name: string): readonly number[] => {
    const shape = shapes.get(name)
    if (!shape) throw new FileError(`${path}: there is no parameter ${name}, which every T5X encoder-decoder has`)
    return shape
  }
  const sharedEmbedding = !shapes.has('encoder/token_embedder/embedding')
  const [vocabSize, dModel] = shapeOf(`${sharedEmbedding ? '' : 'encoder/'}token_embedder/embedding`)
  const relativePositionBias = shapes.has('encoder/layers_0/relpos_bias/rel_embedding') ? 'perLayer' : 'perStack'
  const [numHeads, relativePositionBuckets] = shapeOf(
    `encoder/${relativePositionBias === 'perLayer' ? 'layers_0/' : ''}relpos_bias/rel_embedding`,
  )
  const [, innerDim] = shapeOf('encoder/layers_0/attention/query/kernel')
  const numLayers = (stack: string): number =>
    new Set([...shapes.keys()].flatMap(name => new RegExp(`^${stack}/layers_\\d+/`).exec(name) ?? [])).size
  const sparseLayers = (stack: string): number[] =>
    Array.from({ length: numLayers(stack) }, (_, i) => i).filter(i =>
      shapes.has(`${stack}/layers_${i}/mlp/expert/wo/kernel`),
    )
  const output = [...shapes].find(([name]) => name.endsWith('/mlp/wo/kernel') || name.endsWith('/mlp/expert/wo/kernel'))
  const experts = [...shapes].find(([name]) => name.endsWith('/mlp/expert/wo/kernel'))
  if (!output) throw new FileError(`${path}: there is no feed-forward parameter (mlp/wo/kernel)`)
  const gated = [...shapes.keys()].some(name => name.endsWith('/wi_0/kernel'))
  const tiedLogits = !shapes.has('decoder/logits_dense/kernel')
  const defaults = preset(gated ? 'switch-xxl-128' : 'switch-base-8')
  return {
    model: {
      ...defaults.model,
      vocabSize,
      dModel,
      numHeads,
      relativePositionBias,
      relativePositionBuckets,
      sharedEmbedding,
      tiedLogits,
      scaleLogits: tiedLogits,
      headDim: innerDim / numHeads,
      dFf: output[1][output[1].length - 2],
      numEncoderLayers: numLayers('encoder'),
      numDecoderLayers: numLayers('decoder'),
      encoderSparseLayers: sparseLayers('encoder'),
      decoderSparseLayers: sparseLayers('decoder'),
      numExperts: experts ? experts[1][0] : 0,
      activation: gated ? 'geluTanh' : 'relu',
      gatedActivation: gated,
      dtype: 'float32',
      reference: 't5x',
    },
    router: {
      ...defaults.router,
      ignorePaddingTokens: false,
      bias: [...shapes.keys()].some(name => name.endsWith('/router_weights/w/bias')),
    },
  }
}
