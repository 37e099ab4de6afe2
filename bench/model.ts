import type { ModelConfig, RouterConfig } from '../src/model/config.js'
import { baseModel, baseRouter, preset } from '../src/model/presets.js'
import type { Preset } from '../src/model/presets.js'

/** The sizes of a training batch. */
export interface BatchSizes {
  batch: number
  encoderLength: number
  decoderLength: number
}

/**
 * The shapes that training is timed at: the benchmark model; t5-small's for fine-tuning; and, on GPUs, switch-base-8's
 * for pretraining. `switch-tiny` is small enough to try the programs of the last one on a processor.
 */
export const shapes = {
  bench: { batch: 16, encoderLength: 64, decoderLength: 32 },
  't5-small': { batch: 8, encoderLength: 128, decoderLength: 64 },
  'switch-base-8': { batch: 32, encoderLength: 512, decoderLength: 114 },
  'switch-tiny': { batch: 4, encoderLength: 32, decoderLength: 16 },
} satisfies { [name: string]: BatchSizes }
export type ShapeName = keyof typeof shapes

/** The tokens of an input, for generation. */
export const ENCODER_LENGTH = shapes.bench.encoderLength
/** How many tokens are generated. */
export const NEW_TOKENS = 32
export const LEARNING_RATE = 1e-3

/** The benchmark model (peers/README.md); 0 experts make every feed-forward dense. */
export const benchmarkModel = (experts: number): ModelConfig => ({
  ...baseModel,
  vocabSize: 8192,
  dModel: 256,
  dFf: 1024,
  numHeads: 4,
  numEncoderLayers: 4,
  numDecoderLayers: 4,
  encoderSparseLayers: experts > 0 ? [1, 3] : [],
  decoderSparseLayers: experts > 0 ? [1, 3] : [],
  numExperts: experts,
  dtype: 'float32',
})

/** The sizes of t5-small, with 60.5 million parameters. */
export const t5Small: ModelConfig = {
  ...benchmarkModel(0),
  vocabSize: 32_128,
  dModel: 512,
  dFf: 2048,
  numHeads: 8,
  numEncoderLayers: 6,
  numDecoderLayers: 6,
}

/** switch-base-8 as it was pretrained, in bfloat16; of `switch-tiny`, the same model made small. */
export function pretrainedSwitch(shape: 'switch-base-8' | 'switch-tiny'): Preset {
  const { model, router } = preset('switch-base-8')
  const tiny = {
    vocabSize: 512,
    dModel: 128,
    dFf: 256,
    numHeads: 2,
    numEncoderLayers: 2,
    numDecoderLayers: 2,
    encoderSparseLayers: [1],
    decoderSparseLayers: [1],
  }
  return { model: shape === 'switch-tiny' ? { ...model, ...tiny } : model, router }
}

/** No noise; one group, in which experts have as many slots as JAX's. */
export const benchmarkRouter: RouterConfig = {
  ...baseRouter,
  maxGroupSize: shapes.bench.batch * ENCODER_LENGTH,
  minExpertCapacity: 1,
}

/** Token ids in 3..7999, the same on every run. */
export function randomTokens(seed: number, count: number): Int32Array {
  let state = seed * 2654435761 + 1
  return Int32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return 3 + Math.floor((state / 2 ** 32) * 7997)
  })
}

/** Rows of token ids to generate from, the same as peers/common.py's. */
export const promptTokens = (rows: number, length: number): number[][] =>
  Array.from({ length: rows }, (_, row) =>
    Array.from({ length }, (__, i) => 3 + (((row * length + i) * 7919 + row * 31) % 7997)),
  )
