import type { TokenFields } from '../packing/segments.js'
import { defineConverter } from './converter.js'
import type { ConverterOptions, FeatureConverter } from './converter.js'
import { decoderFeatures, encoderFeatures } from './stacks.js'

/**
 * SeqIO's `EncDecFeatureConverter`, for T5 and Switch: the encoder reads `inputs`, the decoder learns to write
 * `targets`.
 */
export const encDecConverter = (options: ConverterOptions = {}): FeatureConverter =>
  defineConverter(
    { name: 'EncDec', taskFeatures: ['inputs', 'targets'], model: row => encDecRow(row, options.bosId) },
    options,
  )

/**
 * SeqIO's `PrePackedEncDecFeatureConverter`, for examples that were packed before: each has the segment ids and
 * positions of its inputs and targets, and becomes one row.
 */
export const prePackedEncDecConverter = (
  options: Omit<ConverterOptions, 'pack' | 'useCustomPackingOps'> = {},
): FeatureConverter =>
  defineConverter(
    {
      name: 'PrePackedEncDec',
      taskFeatures: ['inputs', 'targets'].flatMap(name => [name, `${name}_segment_ids`, `${name}_positions`]),
      model: row => encDecRow(row, options.bosId),
    },
    { ...options, pack: false },
  )

/**
 * The features of one row for an encoder-decoder. The row is packed if it has segment ids. `bosId` and `weights` are
 * those of `decoderFeatures`.
 */
export const encDecRow = (row: TokenFields, bosId?: number, weights?: Int32Array): TokenFields => ({
  ...encoderFeatures(row),
  ...decoderFeatures(row, bosId, weights),
})
