import type { DType } from '../base/dtypes.js'
import { sizeOf } from '../base/host-tensor.js'
import { stackLayers } from './config.js'
import type { ModelConfig, RouterConfig, StackName } from './config.js'

/** How a new parameter is filled. A truncated normal is cut at two standard deviations (of before the cut). */
export type Initializer =
  | { kind: 'ones' }
  | { kind: 'zeros' }
  | { kind: 'normal'; stddev: number }
  | { kind: 'truncatedNormal'; stddev: number }
  | { kind: 'uniform'; limit: number }

/** T5X's names of axes: Adafactor's factoring and sharding read them. */
export type LogicalAxis =
  | 'vocab'
  | 'embed'
  | 'mlp'
  | 'mlp_embed'
  | 'joined_kv'
  | 'heads'
  | 'relpos_buckets'
  | 'expert'
  | 'expert_mlp'
  | 'unmodeled'

/** One parameter, declared: everything that is known of it before it exists. */
export interface ParameterSpec {
  /** T5X's path: `encoder/layers_0/attention/query/kernel`. */
  readonly path: string
  readonly shape: readonly number[]
  readonly dtype: DType
  readonly init: Initializer
  readonly axes: readonly LogicalAxis[]
}

/** Every parameter of a model, in the order of its data flow. */
export function declareParameters(config: ModelConfig, router: RouterConfig): ParameterSpec[] {
  const { dModel, vocabSize } = config
  const specs: ParameterSpec[] = [
    spec('token_embedder/embedding', [vocabSize, dModel], ['vocab', 'embed'], { kind: 'normal', stddev: 1 }),
  ]
  for (const stack of ['encoder', 'decoder'] as const) {
    if (config.relativePositionBias === 'perStack') specs.push(declareRelativeBias(stack, config))
    stackLayers(config, stack).forEach(({ sparse }, i) =>
      specs.push(...declareLayer(`${stack}/layers_${i}`, stack, sparse, config, router)),
    )
    specs.push(norm(`${stack}/${stack}_norm`, dModel))
  }
  if (!config.tiedLogits) {
    specs.push(
      spec('decoder/logits_dense/kernel', [dModel, vocabSize], ['embed', 'vocab'], truncated(config.initScale, dModel)),
    )
  }
  return specs
}

function declareLayer(
  at: string,
  stack: StackName,
  sparse: boolean,
  config: ModelConfig,
  router: RouterConfig,
): ParameterSpec[] {
  const { dModel } = config
  const bias = config.relativePositionBias === 'perLayer' ? [declareRelativeBias(at, config)] : []
  const sublayers =
    stack === 'encoder'
      ? [norm(`${at}/pre_attention_layer_norm`, dModel), ...bias, ...declareAttention(`${at}/attention`, config)]
      : [
          norm(`${at}/pre_self_attention_layer_norm`, dModel),
          ...bias,
          ...declareAttention(`${at}/self_attention`, config),
          norm(`${at}/pre_cross_attention_layer_norm`, dModel),
          ...declareAttention(`${at}/encoder_decoder_attention`, config),
        ]
  const mlp = sparse ? declareExperts(`${at}/mlp`, config, router) : declareMlp(`${at}/mlp`, config)
  return [...sublayers, norm(`${at}/pre_mlp_layer_norm`, dModel), ...mlp]
}

function declareRelativeBias(at: string, { numHeads, relativePositionBuckets: buckets }: ModelConfig): ParameterSpec {
  // Uniform with variance 1 / fan_avg.
  const limit = Math.sqrt(3 / ((numHeads + buckets) / 2))
  return spec(`${at}/relpos_bias/rel_embedding`, [numHeads, buckets], ['heads', 'relpos_buckets'], {
    kind: 'uniform',
    limit,
  })
}

function declareAttention(at: string, { dModel, numHeads, headDim, initScale }: ModelConfig): ParameterSpec[] {
  const inner = numHeads * headDim
  const into = (name: string, init: Initializer): ParameterSpec =>
    spec(`${at}/${name}/kernel`, [dModel, inner], ['embed', 'joined_kv'], init)
  return [
    // Scores are not divided by sqrt(headDim): new queries are, instead.
    into('query', normal(initScale / headDim, dModel)),
    into('key', normal(initScale, dModel)),
    into('value', normal(initScale, dModel)),
    spec(`${at}/out/kernel`, [inner, dModel], ['joined_kv', 'embed'], normal(initScale, inner)),
  ]
}

const inputKernels = (config: ModelConfig): string[] => (config.activation === 'gatedGelu' ? ['wi_0', 'wi_1'] : ['wi'])

function declareMlp(at: string, config: ModelConfig): ParameterSpec[] {
  const { dModel, dFf, initScale } = config
  return [
    ...inputKernels(config).map(name =>
      spec(`${at}/${name}/kernel`, [dModel, dFf], ['mlp_embed', 'mlp'], truncated(initScale, dModel)),
    ),
    spec(`${at}/wo/kernel`, [dFf, dModel], ['mlp', 'mlp_embed'], truncated(initScale, dFf)),
  ]
}

function declareExperts(at: string, config: ModelConfig, router: RouterConfig): ParameterSpec[] {
  const { dModel, dFf, numExperts, initScale } = config
  const weights = `${at}/router/router_weights/w`
  return [
    spec(`${weights}/kernel`, [dModel, numExperts], ['embed', 'unmodeled'], { kind: 'normal', stddev: 0.02 }),
    ...(router.bias ? [spec(`${weights}/bias`, [numExperts], ['unmodeled'], { kind: 'zeros' })] : []),
    ...inputKernels(config).map(name =>
      spec(
        `${at}/expert/${name}/kernel`,
        [numExperts, dModel, dFf],
        ['expert', 'mlp_embed', 'expert_mlp'],
        normal(initScale, dModel),
      ),
    ),
    spec(
      `${at}/expert/wo/kernel`,
      [numExperts, dFf, dModel],
      ['expert', 'expert_mlp', 'mlp_embed'],
      normal(initScale, dFf),
    ),
  ]
}

const spec = (
  path: string,
  shape: readonly number[],
  axes: readonly LogicalAxis[],
  init: Initializer,
): ParameterSpec => ({ path, shape, dtype: 'float32', init, axes })
const norm = (at: string, dModel: number): ParameterSpec => spec(`${at}/scale`, [dModel], ['embed'], { kind: 'ones' })

/** Variance scale / fanIn. */
const normal = (scale: number, fanIn: number): Initializer => ({ kind: 'normal', stddev: Math.sqrt(scale / fanIn) })
/** The standard deviation of a unit normal that is cut at -2 and 2. */
const truncatedStddev = 0.87962566103423978
/** Variance scale / fanIn after the cut. */
const truncated = (scale: number, fanIn: number): Initializer => ({
  kind: 'truncatedNormal',
  stddev: Math.sqrt(scale / fanIn) / truncatedStddev,
})

/** The exact number of parameters; nothing is allocated. */
export const countParameters = (specs: readonly ParameterSpec[]): number =>
  specs.reduce((n, s) => n + sizeOf(s.shape), 0)

/** The number of parameters that one token meets: all of them, but of each sparse layer's experts only one. */
export const countActiveParameters = (specs: readonly ParameterSpec[]): number =>
  specs.reduce((n, s) => n + sizeOf(s.shape) / (s.axes[0] === 'expert' ? s.shape[0] : 1), 0)
