import * as z from 'zod'
import type { NativeConfig } from '../checkpoint/native-weights.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import { settingEntries } from '../model/generation-defaults.js'
import type { GenerationDefaults } from '../model/generation-defaults.js'
import { customSchema } from '../base/custom.js'
import { taskSchema } from '../data/tasks/registry.js'
import { meanings } from '../model/meaning.js'
import { trainDefaults } from '../train/config.js'
import { canDecode } from '../model/routing.js'
import { hasSparseLayers, stackLayers } from '../model/config.js'
import { feedForwardActivations } from '../nn/mlp.js'
import { MAX_DISTANCE, MIN_BUCKETS } from '../nn/relative-bias.js'
import { routers } from '../nn/moe/routers/routers.js'
import type { RunConfig, TrainConfig } from '../train/config.js'
import { MIN_SIZE_TO_FACTOR } from '../train/optimizers/factoring.js'
import type { OptimizerConfig } from '../train/optimizers/optimizers.js'
import type { ScheduleConfig } from '../train/optimizers/schedules.js'
import { parseRule } from '../train/restore/origin.js'
import { distillDefaults } from '../train/distillation/config.js'
import type { DistillConfig } from '../train/distillation/config.js'
import type { Origin } from '../train/restore/origin.js'
import { currentModel } from './older-models.js'
import { parseMesh } from '../train/parallel/mesh-config.js'
import { parseRate } from '../train/trainable/config.js'

/** One of a record's keys. */
const namesOf = <K extends string>(record: Readonly<Record<K, unknown>>): z.ZodType<K> =>
  z.enum(Object.keys(record) as K[])

const count = z.int().min(0)
const size = z.int().min(1)
/** The limit keeps a broken or malicious file from declaring parameters for billions of layers. */
const layers = size.max(10_000)
const share = z.number().min(0).lt(1)
const positive = z.number().gt(0)
const amount = z.number().min(0)

const specialIdsSchema = z.strictObject({
  padId: count,
  eosIds: z.array(count).min(1),
  decoderStartId: count,
  forcedFirstIds: z.array(count).min(1).optional(),
  forcedLastIds: z.array(count).min(1).optional(),
})

const generationSchema = z.strictObject({
  ...Object.fromEntries(
    settingEntries.map(([name, { kind }]) => [name, z.custom(kind.holds, `must be ${kind.must}`).optional()]),
  ),
  unsupported: z.record(z.string(), z.string()).optional(),
}) as z.ZodType<GenerationDefaults>

export const modelSchema = z.strictObject({
  vocabSize: size,
  dModel: size,
  dFf: size,
  numHeads: size,
  headDim: size,
  numEncoderLayers: layers,
  numDecoderLayers: count.max(10_000),
  encoderSparseLayers: z.array(count),
  decoderSparseLayers: z.array(count),
  numExperts: count,
  activation: namesOf(feedForwardActivations),
  gatedActivation: z.boolean(),
  sharedEmbedding: z.boolean(),
  tiedLogits: z.boolean(),
  scaleLogits: z.boolean(),
  relativePositionBias: z.enum(['perStack', 'perLayer']),
  relativePositionBuckets: z.int().min(MIN_BUCKETS),
  relativePositionMaxDistance: size.max(MAX_DISTANCE),
  layerNormEpsilon: amount,
  dropoutRate: share,
  initScale: positive,
  dtype: z.enum(['float32', 'bfloat16']),
  reference: namesOf(meanings),
  customMeaning: z.string().min(1).optional(),
  specialIds: specialIdsSchema.optional(),
  generation: generationSchema.optional(),
}) satisfies z.ZodType<ModelConfig>

export const routerSchema = z.strictObject({
  kind: namesOf(routers),
  decoderKind: namesOf(routers).nullable(),
  selectedExperts: size,
  batchPrioritized: z.boolean(),
  custom: z.string().min(1).optional(),
  maxGroupSize: size,
  trainCapacityFactor: positive.nullable(),
  evalCapacityFactor: positive,
  minExpertCapacity: count,
  expertCapacity: size.nullable(),
  bias: z.boolean(),
  jitterNoise: share,
  expertDropoutRate: share,
  auxLossFactor: amount,
  zLossFactor: amount,
  ignorePaddingTokens: z.boolean(),
}) satisfies z.ZodType<RouterConfig>

/** The built-in optimizers, with their defaults. */
export const optimizerSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('adamW'),
    b1: share.default(0.9),
    b2: share.default(0.999),
    epsilon: positive.default(1e-8),
    weightDecay: amount.default(0),
  }),
  z.strictObject({
    kind: z.literal('adafactor'),
    decayRate: positive.default(0.8),
    stepOffset: count.default(0),
    clippingThreshold: positive.default(1),
    epsilon1: positive.default(1e-30),
    epsilon2: positive.default(1e-3),
    minSizeToFactor: size.default(MIN_SIZE_TO_FACTOR),
  }),
]) satisfies z.ZodType<OptimizerConfig>

const peaked = { peak: positive.default(1e-3), warmupSteps: count.default(1000) }

/** The built-in schedules, with their defaults. */
export const scheduleSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('constant'), ...peaked }),
  z.strictObject({ kind: z.literal('linear'), ...peaked }),
  z.strictObject({ kind: z.literal('cosine'), ...peaked }),
  z.strictObject({
    kind: z.literal('inverseSquareRoot'),
    scale: positive.default(1),
    decayFrom: size.default(10_000),
    warmupSteps: count.default(0),
  }),
]) satisfies z.ZodType<ScheduleConfig>

/** A setting's value that is a record in a file and may be text in `--set`, such as `decoder/logits_dense=skip`. */
const orText = <T extends object>(schema: z.ZodType<T>, parse: (text: string) => T | undefined, form: string) =>
  z.unknown().transform((value, context): T => {
    const parsed = typeof value === 'string' ? parse(value) : schema.safeParse(value).data
    if (parsed === undefined) context.addIssue({ code: 'custom', message: `must be ${form}` })
    return parsed ?? z.NEVER
  })

const pattern = z.string().min(1)
const rateRule = orText(
  z.strictObject({ path: pattern, factor: positive }),
  parseRate,
  'PATTERN=FACTOR with a factor above 0, such as token_embedder=0.1; train.freeze stops training',
)
const devices = size.default(1)
const meshSchema = orText(
  z.strictObject({ data: devices, expert: devices, tensor: devices }),
  parseMesh,
  'devices for the axes data, expert and tensor, such as data=2,expert=2',
)
const { freeze, rates, lora } = trainDefaults

const trainSchema = z.strictObject({
  steps: size,
  // A limit, because what would fit into memory is sought among the divisors.
  rows: size.max(2 ** 20),
  inputLength: size,
  targetLength: size,
  seed: count.max(2 ** 31 - 1),
  init: z.enum(['t5', 'aligned']).default(trainDefaults.init),
  accumulate: size.default(trainDefaults.accumulate),
  mesh: meshSchema.nullable().default(trainDefaults.mesh),
  remat: z.boolean().default(trainDefaults.remat),
  scanLayers: z.boolean().default(trainDefaults.scanLayers),
  labelSmoothing: share.default(trainDefaults.labelSmoothing),
  zLoss: amount.nullable().default(trainDefaults.zLoss),
  averageDecay: share.nullable().default(trainDefaults.averageDecay),
  dropoutFrom: count.default(trainDefaults.dropoutFrom),
  freeze: z.array(pattern).default(freeze),
  rates: z.array(rateRule).default(rates),
  lora: z.strictObject({ rank: count, alpha: positive, targets: z.array(pattern) }).default(lora),
  optimizer: z.discriminatedUnion('kind', [customSchema, ...optimizerSchema.options]),
  schedule: z.discriminatedUnion('kind', [customSchema, ...scheduleSchema.options]),
  clipNorm: positive.nullable(),
  logEvery: size,
  updateNorm: z.boolean().default(trainDefaults.updateNorm),
  dataOrder: z.enum(['dense', 'seqio']).default(trainDefaults.dataOrder),
  shuffleBuffer: count.default(trainDefaults.shuffleBuffer),
  packing: z.boolean().default(trainDefaults.packing),
  // A limit, because the step is compiled for each size.
  buckets: size.max(16).default(trainDefaults.buckets),
  checkpointEvery: size,
  asyncSave: z.boolean().default(trainDefaults.asyncSave),
  keep: size,
  keepEvery: size.nullable().default(trainDefaults.keepEvery),
  validateEvery: size.nullable().default(trainDefaults.validateEvery),
  validateExamples: size.nullable().default(trainDefaults.validateExamples),
  validateAnswers: count.default(trainDefaults.validateAnswers),
  bestBy: z.enum(['loss', 'metric']).default(trainDefaults.bestBy),
  patience: size.nullable().default(trainDefaults.patience),
  evalExamples: size.nullable(),
}) satisfies z.ZodType<TrainConfig>

const restoreRule = orText(
  z.strictObject({ path: pattern, from: pattern.nullable() }),
  parseRule,
  'PATTERN=skip or PATTERN=NAMES, such as decoder/logits_dense=skip',
)

const originSchema = z.strictObject({
  path: z.string().min(1),
  container: z.string().min(1),
  step: count,
  optimizer: z.enum(['fresh', 'restored']),
  rules: z.array(restoreRule),
}) satisfies z.ZodType<Origin>

const distillSchema = z
  .strictObject({
    teacher: z.discriminatedUnion('kind', [
      customSchema,
      z.strictObject({ kind: z.literal('weights'), path: z.string().min(1), fingerprint: z.string().min(1) }),
    ]),
    hardWeight: amount.default(distillDefaults.hardWeight),
    softWeight: amount.default(distillDefaults.softWeight),
    temperature: positive.default(distillDefaults.temperature),
  })
  .refine(({ hardWeight, softWeight }) => hardWeight + softWeight > 0, {
    path: ['softWeight'],
    message: 'must be above 0 if hardWeight is 0: the loss would have no term',
  }) satisfies z.ZodType<DistillConfig>

/** The settings of a saved model. Files of older versions lack some and spell others differently. */
const savedModelSchema = z.preprocess(
  currentModel,
  modelSchema
    .extend({ relativePositionBias: modelSchema.shape.relativePositionBias.default('perStack') })
    .superRefine((model, context) => {
      const check = (path: keyof ModelConfig, layers: readonly number[], count: number): void =>
        layers.forEach((layer, i) => {
          const issue = (message: string) => context.addIssue({ code: 'custom', path: [path, i], message })
          if (layer >= count) issue(`must be a layer of the stack, which are 0 to ${count - 1}`)
          else if (layers.indexOf(layer) < i) issue('must not be there twice')
        })
      check('encoderSparseLayers', model.encoderSparseLayers, model.numEncoderLayers)
      check('decoderSparseLayers', model.decoderSparseLayers, model.numDecoderLayers)
      for (const [name, ids = []] of Object.entries(model.specialIds ?? {}))
        if ([ids].flat().some(id => id >= model.vocabSize))
          context.addIssue({
            code: 'custom',
            path: ['specialIds', name],
            message: `must be below vocabSize, ${model.vocabSize}`,
          })
    }),
)
const savedRouterSchema = routerSchema.extend({
  decoderKind: routerSchema.shape.decoderKind.default(null),
  selectedExperts: routerSchema.shape.selectedExperts.default(1),
  batchPrioritized: routerSchema.shape.batchPrioritized.default(false),
})

/** The configuration of a native checkpoint that holds weights only, as `convert` writes it. */
export const nativeSchema = z.strictObject({
  model: savedModelSchema,
  router: savedRouterSchema,
  bits: z.literal([4, 8]).nullable(),
  maxNewTokens: size.nullable(),
  trainedOn: taskSchema.nullable().default(null),
  seededExperts: z
    .strictObject({ seed: z.int().min(0), dtype: z.enum(['float32', 'bfloat16']) })
    .nullable()
    .default(null),
}) satisfies z.ZodType<NativeConfig>

export const runSchema = z
  .strictObject({
    task: taskSchema,
    model: savedModelSchema,
    router: savedRouterSchema,
    train: trainSchema,
    from: originSchema.nullable().default(null),
    distill: distillSchema.nullable().default(null),
  })
  .refine(({ model }) => model.numExperts > 0 || !hasSparseLayers(model), {
    path: ['model', 'numExperts'],
    message:
      'must be 1 or more where layers are sparse; in a dense model, encoderSparseLayers and decoderSparseLayers are empty',
  })
  .refine(({ model }) => model.numDecoderLayers > 0, {
    path: ['model', 'numDecoderLayers'],
    message: 'must be 1 or more: training needs a decoder',
  })
  .refine(({ model }) => model.relativePositionMaxDistance > Math.floor(model.relativePositionBuckets / 2), {
    path: ['model', 'relativePositionMaxDistance'],
    message: 'must be more than half of relativePositionBuckets: nearer distances have a bucket each',
  })
  .refine(({ model, router }) => !stackLayers(model, 'decoder').some(layer => layer.sparse) || canDecode(router), {
    path: ['router', 'decoderKind'],
    message:
      'must be a router that routes each token by itself, such as tokensChoose: the decoder generates tokens one by one, so its experts cannot choose among them',
  })
  .refine(({ model, router }) => router.selectedExperts <= Math.max(1, model.numExperts), {
    path: ['router', 'selectedExperts'],
    message: 'must be at most model.numExperts: a token cannot choose more experts than there are',
  })
  .refine(({ train }) => !train.packing || train.buckets === 1, {
    path: ['train', 'buckets'],
    message: 'must be 1 with train.packing=true, whose rows are full: buckets are for rows of one example',
  })
  .refine(({ train }) => train.packing || train.dataOrder === 'dense', {
    path: ['train', 'packing'],
    message: "must be true with train.dataOrder=seqio, whose batches are SeqIO's packed ones",
  }) satisfies z.ZodType<RunConfig>
