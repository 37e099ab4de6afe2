/** A run that takes a second: a model with a sparse layer in each stack learns to write binary numbers in base 16. */
import { makeTask, taskCodec } from '../../src/data/task.js'
import type { Task } from '../../src/data/task.js'
import { makeVocabularies } from '../../src/data/tokenizers/tokenizers.js'
import { trainDefaults } from '../../src/train/config.js'
import type { RunConfig } from '../../src/train/config.js'
import type { Trainer } from '../../src/train/trainer.js'
import { leavesWithPaths } from '../../src/base/pytree.js'
import type { Tensor } from '../../src/engine/api/tensor.js'

export const examples = Array.from({ length: 40 }, (_, i) => ({
  input: i.toString(2),
  target: i.toString(16),
  alternatives: [],
}))
export const task: Task = {
  ...makeTask({
    name: 'hex',
    codec: taskCodec(await makeVocabularies({ inputs: 'characters', targets: 'characters' }, examples)),
    examples,
  }),
  split: () => examples,
}

export const config: RunConfig = {
  task: { kind: 'custom', name: 'hex' },
  model: {
    vocabSize: task.codec.vocabSize,
    dModel: 8,
    dFf: 16,
    numHeads: 2,
    headDim: 4,
    numEncoderLayers: 1,
    numDecoderLayers: 1,
    encoderSparseLayers: [0],
    decoderSparseLayers: [0],
    numExperts: 2,
    activation: 'relu',
    gatedActivation: false,
    sharedEmbedding: true,
    tiedLogits: true,
    scaleLogits: true,
    relativePositionBias: 'perStack',
    relativePositionBuckets: 8,
    relativePositionMaxDistance: 16,
    layerNormEpsilon: 1e-6,
    dropoutRate: 0.1,
    initScale: 1,
    dtype: 'float32',
    reference: 'switchyard',
  },
  router: {
    kind: 'tokensChoose',
    decoderKind: null,
    selectedExperts: 1,
    batchPrioritized: false,
    maxGroupSize: 64,
    trainCapacityFactor: 1.25,
    evalCapacityFactor: 2,
    minExpertCapacity: 4,
    expertCapacity: null,
    bias: false,
    jitterNoise: 0.01,
    expertDropoutRate: 0.1,
    auxLossFactor: 0.01,
    zLossFactor: 0,
    ignorePaddingTokens: true,
  },
  train: {
    ...trainDefaults,
    steps: 8,
    rows: 2,
    inputLength: 16,
    targetLength: 16,
    seed: 3,
    optimizer: { kind: 'adamW', b1: 0.9, b2: 0.98, epsilon: 1e-8, weightDecay: 0 },
    schedule: { kind: 'constant', peak: 0.01, warmupSteps: 0 },
    clipNorm: 1,
    logEvery: 2,
    checkpointEvery: 4,
    keep: 9,
    evalExamples: null,
  },
  from: null,
  distill: null,
}

/** The run with some settings of training changed. */
export const configWith = (train: Partial<RunConfig['train']>): RunConfig => ({
  ...config,
  train: { ...config.train, ...train },
})

/** All numbers of a trainer's parameters, in one list. */
export const parameterValues = async ({ params }: Trainer): Promise<number[]> =>
  (await Promise.all(leavesWithPaths<Tensor>(params).map(([, x]) => x.numbers()))).flat()
