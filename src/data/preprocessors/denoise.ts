import { ConfigError } from '../../base/errors.js'
import type { Vocabulary } from '../../text/vocabulary.js'
import type { FieldValue, Preprocessor, PreprocessorContext } from '../preprocessor.js'
import { splitSeed } from '../random/stateless.js'
import { mapWithSeeds } from '../stages/map-with-seeds.js'
import type { NoiseMask } from './noise/masks.js'
import type { NoiseFunction } from './noise/noise-functions.js'
import { featureOf, tokensOf } from './token-fields.js'

export interface DenoiseOptions {
  /** The share of the tokens that are noise. */
  readonly noiseDensity: number
  /** Chooses the noise, such as `iidNoiseMask`. */
  readonly noiseMaskFn: NoiseMask
  /** Makes the inputs, such as `noiseSpanToUniqueSentinel`. */
  readonly inputsFn: NoiseFunction
  /** Makes the targets. Default: all tokens, without noise. */
  readonly targetsFn?: NoiseFunction
  /** The name of the inputs. Default: inputs. */
  readonly inputFeatureKey?: string
  /** Features that pass unchanged. All others are dropped. */
  readonly passthroughFeatureKeys?: readonly string[]
}

/**
 * T5's `denoise`: an example's targets become inputs with noise and targets to restore it. Of the six seeds of an
 * example the mask gets 0 and 1, the inputs 2 and 3, the targets 4 and 5.
 */
export function denoise(options: DenoiseOptions): Preprocessor {
  const { noiseDensity, noiseMaskFn, inputsFn, targetsFn } = options
  const { inputFeatureKey = 'inputs', passthroughFeatureKeys = [] } = options
  const made = passthroughFeatureKeys.find(key => key === inputFeatureKey || key === 'targets')
  if (made !== undefined) throw new ConfigError(`denoise cannot pass "${made}" unchanged: it makes this feature`)
  return {
    name: 'denoise',
    apply(dataset, context) {
      const { size } = sharedVocabulary(context, inputFeatureKey)
      return mapWithSeeds(dataset, context.seeds, 1, (example, [seed]) => {
        const tokens = tokensOf(example, 'targets', 'denoise')
        const seeds = splitSeed(seed, 6)
        const mask = noiseMaskFn(tokens.length, noiseDensity, seeds.slice(0, 2))
        const result: { [name: string]: FieldValue } = {
          [inputFeatureKey]: inputsFn(tokens, mask, size, seeds.slice(2, 4)),
          targets: targetsFn ? targetsFn(tokens, mask, size, seeds.slice(4, 6)) : tokens,
        }
        for (const key of passthroughFeatureKeys) if (example[key] !== undefined) result[key] = example[key]
        return result
      })
    },
  }
}

/** The vocabulary of the targets, which must be that of the inputs too: the inputs are made of the targets' tokens. */
function sharedVocabulary(context: PreprocessorContext, inputFeatureKey: string): Vocabulary {
  const { vocabulary } = featureOf(context, 'targets', 'denoise')
  const inputs = context.features[inputFeatureKey]?.vocabulary ?? vocabulary
  if (inputs !== vocabulary && JSON.stringify(inputs.toJSON()) !== JSON.stringify(vocabulary.toJSON()))
    throw new ConfigError(
      `denoise makes "${inputFeatureKey}" from the tokens of "targets": give both features the same vocabulary`,
    )
  return vocabulary
}
