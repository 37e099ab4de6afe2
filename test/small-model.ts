import type { ModelConfig } from '../src/model/config.js'
import { preset } from '../src/model/presets.js'

/** The sizes of a model that computes in milliseconds. Each stack has two layers: the second can be sparse. */
export const smallSizes = {
  dModel: 16,
  dFf: 24,
  numHeads: 2,
  headDim: 8,
  numEncoderLayers: 2,
  numDecoderLayers: 2,
} as const

/** A small model of Switch's kind whose layers are all sparse. The answers of new weights differ between inputs. */
export const sparseModel = (
  changes: Partial<ModelConfig> & Pick<ModelConfig, 'vocabSize' | 'numExperts'>,
): ModelConfig => ({
  ...preset('switch-base-8').model,
  ...smallSizes,
  encoderSparseLayers: [0, 1],
  decoderSparseLayers: [0, 1],
  dtype: 'float32',
  initScale: 8,
  ...changes,
})
