import { defineConverter } from './converter.js'
import type { ConverterOptions, FeatureConverter } from './converter.js'
import { encoderFeatures } from './stacks.js'

/**
 * SeqIO's `EncoderFeatureConverter`, for encoder-only models (BERT): the model learns the `targets` at the places where
 * the `inputs` hold `maskId`.
 */
export const encoderConverter = (
  options: Omit<ConverterOptions, 'bosId'> & { readonly maskId: number },
): FeatureConverter =>
  defineConverter(
    {
      name: 'Encoder',
      taskFeatures: ['inputs', 'targets'],
      model: row => ({
        ...encoderFeatures(row),
        encoder_target_tokens: row.targets,
        encoder_loss_weights: row.inputs.map(token => (token === options.maskId ? 1 : 0)),
      }),
    },
    options,
  )
