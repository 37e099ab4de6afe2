import { defineConverter } from './converter.js'
import type { ConverterOptions, FeatureConverter } from './converter.js'
import { decoderFeatures } from './stacks.js'

/** SeqIO's `LMFeatureConverter`, for decoder-only models: the decoder learns to write `targets` from nothing. */
export const lmConverter = (options: ConverterOptions = {}): FeatureConverter =>
  defineConverter({ name: 'LM', taskFeatures: ['targets'], model: row => decoderFeatures(row, options.bosId) }, options)
