import type { DType } from '../base/dtypes.js'
import { sizeOf } from '../base/host-tensor.js'
import { stackLayers, stacksOf } from './config.js'
import type { ModelConfig, RouterConfig, StackName } from './config.js'

/**
 * How a new parameter is initialised. `truncatedNormal` is a normal distribution of this standard deviation, cut at two
 * standard deviations. `uniform` is uniform in [-limit, limit].
 */
export type Initializer =
  | { kind: 'ones' }
  | { kind: 'zeros' }
  | { kind: 'normal'; stddev: number }
  | { kind: 'truncatedNormal'; stddev: number }
  | { kind: 'uniform'; limit: number }

/** T5X's names of axes, which Adafactor's factoring reads. */
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

/** What a parameter is used for. */
export type ParameterRole =
  | 'embedding' // [vocab, dModel]: a vector for each token
  | 'outputProjection' // [dModel, vocab], where logits are not projected by the embedding
  | 'relativePositionBias' // [heads, buckets]
  | 'norm' // [dModel]: the scale of an RMS norm
  | 'kernel' // [in, out]: a linear map of attention or of a dense feed-forward network
  | 'expertKernel' // [experts, in, out]: a linear map of each expert
  | 'router' // [dModel, experts]: the router's linear map
  | 'routerBias' // [experts]

/** The part of a layer that a parameter belongs to. A norm belongs to the sublayer that it precedes. */
export type Sublayer = 'selfAttention' | 'crossAttention' | 'feedForward'

/** T5X's name of a linear map within attention (`query` to `out`) or a feed-forward network. */
export type Projection = 'query' | 'key' | 'value' | 'out' | 'wi' | 'wi_0' | 'wi_1' | 'wo'

/** Where in a model a parameter is. A field that does not apply is null: a shared token embedding is in no stack. */
export interface ParameterPlace {
  readonly stack: StackName | null
  /** From 0; null for parameters that the layers of a stack share, and for its final norm. */
  readonly layer: number | null
  readonly sublayer: Sublayer | null
  readonly projection: Projection | null
}

/**
 * The declaration of one parameter. Code that treats some parameters differently (quantizing, freezing, naming,
 * counting) asks for `role`, `place` and `axes`, never for parts of the path.
 */
export interface ParameterSpec {
  /** T5X's path: `encoder/layers_0/attention/query/kernel`. */
  readonly path: string
  readonly role: ParameterRole
  readonly place: ParameterPlace
  readonly shape: readonly number[]
  /** A logical name for each axis of the shape. */
  readonly axes: readonly LogicalAxis[]
  readonly dtype: DType
  readonly init: Initializer
}

/** Every parameter of a model, in the order of its data flow. */
export function declareParameters(config: ModelConfig, router: RouterConfig): ParameterSpec[] {
  const { dModel, vocabSize } = config
  const embedding = (at: string, place: Place): ParameterSpec =>
    spec(`${at}token_embedder/embedding`, 'embedding', place, [vocabSize, dModel], ['vocab', 'embed'], {
      kind: 'normal',
      stddev: 1,
    })
  const specs: ParameterSpec[] = config.sharedEmbedding ? [embedding('', {})] : []
  for (const stack of stacksOf(config)) {
    if (!config.sharedEmbedding) specs.push(embedding(`${stack}/`, { stack }))
    if (config.relativePositionBias === 'perStack') specs.push(declareRelativeBias(stack, { stack }, config))
    stackLayers(config, stack).forEach(({ sparse }, layer) =>
      specs.push(...declareLayer({ stack, layer }, sparse, config, router)),
    )
    specs.push(declareNorm(`${stack}/${stack}_norm`, { stack }, dModel))
  }
  if (!config.tiedLogits && config.numDecoderLayers > 0) {
    const place = { stack: 'decoder' } as const
    const init = truncated(config.initScale, dModel)
    specs.push(
      spec('decoder/logits_dense/kernel', 'outputProjection', place, [dModel, vocabSize], ['embed', 'vocab'], init),
    )
  }
  return specs
}

function declareLayer(
  { stack, layer }: { stack: StackName; layer: number },
  sparse: boolean,
  config: ModelConfig,
  router: RouterConfig,
): ParameterSpec[] {
  const at = `${stack}/layers_${layer}`
  const within = (sublayer: Sublayer): Place => ({ stack, layer, sublayer })
  const norm = (name: string, sublayer: Sublayer): ParameterSpec =>
    declareNorm(`${at}/${name}`, within(sublayer), config.dModel)
  const bias =
    config.relativePositionBias === 'perLayer' ? [declareRelativeBias(at, within('selfAttention'), config)] : []
  const attention =
    stack === 'encoder'
      ? [
          norm('pre_attention_layer_norm', 'selfAttention'),
          ...bias,
          ...declareAttention(`${at}/attention`, within('selfAttention'), config),
        ]
      : [
          norm('pre_self_attention_layer_norm', 'selfAttention'),
          ...bias,
          ...declareAttention(`${at}/self_attention`, within('selfAttention'), config),
          norm('pre_cross_attention_layer_norm', 'crossAttention'),
          ...declareAttention(`${at}/encoder_decoder_attention`, within('crossAttention'), config),
        ]
  const feedForward = sparse
    ? declareExperts(`${at}/mlp`, within('feedForward'), config, router)
    : declareMlp(`${at}/mlp`, within('feedForward'), config)
  return [...attention, norm('pre_mlp_layer_norm', 'feedForward'), ...feedForward]
}

function declareRelativeBias(
  at: string,
  place: Place,
  { numHeads, relativePositionBuckets: buckets }: ModelConfig,
): ParameterSpec {
  // A uniform distribution of variance 1 / fan_avg.
  const init = { kind: 'uniform', limit: Math.sqrt(3 / ((numHeads + buckets) / 2)) } as const
  const path = `${at}/relpos_bias/rel_embedding`
  return spec(path, 'relativePositionBias', place, [numHeads, buckets], ['heads', 'relpos_buckets'], init)
}

function declareAttention(
  at: string,
  place: Place,
  { dModel, numHeads, headDim, initScale }: ModelConfig,
): ParameterSpec[] {
  const inner = numHeads * headDim
  const into = (projection: Projection, init: Initializer): ParameterSpec =>
    kernel(at, { ...place, projection }, [dModel, inner], ['embed', 'joined_kv'], init)
  return [
    // Attention scores are not divided by sqrt(headDim). New query kernels are smaller by that factor instead.
    into('query', normal(initScale / headDim, dModel)),
    into('key', normal(initScale, dModel)),
    into('value', normal(initScale, dModel)),
    kernel(at, { ...place, projection: 'out' }, [inner, dModel], ['joined_kv', 'embed'], normal(initScale, inner)),
  ]
}

const inputProjections = (config: ModelConfig): Projection[] => (config.gatedActivation ? ['wi_0', 'wi_1'] : ['wi'])

function declareMlp(at: string, place: Place, config: ModelConfig): ParameterSpec[] {
  const { dModel, dFf, initScale } = config
  const init = truncated(initScale, dModel)
  return [
    ...inputProjections(config).map(projection =>
      kernel(at, { ...place, projection }, [dModel, dFf], ['mlp_embed', 'mlp'], init),
    ),
    kernel(at, { ...place, projection: 'wo' }, [dFf, dModel], ['mlp', 'mlp_embed'], truncated(initScale, dFf)),
  ]
}

function declareExperts(at: string, place: Place, config: ModelConfig, router: RouterConfig): ParameterSpec[] {
  const { dModel, dFf, numExperts, initScale } = config
  const weights = `${at}/router/router_weights/w`
  const routerInit = { kind: 'normal', stddev: 0.02 } as const
  const expert = (
    projection: Projection,
    [inputs, outputs]: readonly [number, number],
    axes: readonly LogicalAxis[],
  ): ParameterSpec =>
    spec(
      `${at}/expert/${projection}/kernel`,
      'expertKernel',
      { ...place, projection },
      [numExperts, inputs, outputs],
      axes,
      normal(initScale, inputs),
    )
  return [
    spec(`${weights}/kernel`, 'router', place, [dModel, numExperts], ['embed', 'unmodeled'], routerInit),
    ...(router.bias
      ? [spec(`${weights}/bias`, 'routerBias', place, [numExperts], ['unmodeled'], { kind: 'zeros' })]
      : []),
    ...inputProjections(config).map(projection =>
      expert(projection, [dModel, dFf], ['expert', 'mlp_embed', 'expert_mlp']),
    ),
    expert('wo', [dFf, dModel], ['expert', 'expert_mlp', 'mlp_embed']),
  ]
}

type Place = Partial<ParameterPlace>

const spec = (
  path: string,
  role: ParameterRole,
  { stack = null, layer = null, sublayer = null, projection = null }: Place,
  shape: readonly number[],
  axes: readonly LogicalAxis[],
  init: Initializer,
): ParameterSpec => ({
  path,
  role,
  place: { stack, layer, sublayer, projection },
  shape,
  axes,
  dtype: 'float32',
  init,
})

const kernel = (
  at: string,
  place: Place & { projection: Projection },
  shape: readonly number[],
  axes: readonly LogicalAxis[],
  init: Initializer,
): ParameterSpec => spec(`${at}/${place.projection}/kernel`, 'kernel', place, shape, axes, init)

const declareNorm = (at: string, place: Place, dModel: number): ParameterSpec =>
  spec(`${at}/scale`, 'norm', place, [dModel], ['embed'], { kind: 'ones' })

/** A normal distribution of variance scale / fanIn. */
const normal = (scale: number, fanIn: number): Initializer => ({ kind: 'normal', stddev: Math.sqrt(scale / fanIn) })
/** The standard deviation of a standard normal distribution after it is cut at -2 and 2. */
const truncatedStddev = 0.87962566103423978
/** A truncated normal distribution whose variance after the cut is scale / fanIn. */
const truncated = (scale: number, fanIn: number): Initializer => ({
  kind: 'truncatedNormal',
  stddev: Math.sqrt(scale / fanIn) / truncatedStddev,
})

/** The declaration of one expert's kernel [in, out] in a stack of kernels [experts, in, out]. */
export const expertSpec = (stack: ParameterSpec): ParameterSpec => ({
  ...stack,
  shape: stack.shape.slice(1),
  axes: stack.axes.slice(1),
})

/** The exact number of parameters. Nothing is allocated. */
export const countParameters = (specs: readonly Pick<ParameterSpec, 'shape'>[]): number =>
  specs.reduce((n, s) => n + sizeOf(s.shape), 0)

/** The number of a parameter's elements that one token's forward pass reads: of expert kernels, one expert's. */
export function activeSize({ shape, axes }: Pick<ParameterSpec, 'shape' | 'axes'>): number {
  return sizeOf(shape.filter((_, axis) => axes[axis] !== 'expert'))
}

/** The number of parameters that one token's forward pass reads: all but the experts that it is not routed to. */
export const countActiveParameters = (specs: readonly ParameterSpec[]): number =>
  specs.reduce((n, s) => n + activeSize(s), 0)
