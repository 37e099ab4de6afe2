import type { Preprocessor, PreprocessorContext } from '../../preprocessor.js'
import { mapFields, mapPreprocessor } from './map-preprocessor.js'
import { append, changeTokens } from './tokens.js'

/** SeqIO's `append_eos`: EOS after the tokens of each feature that asks for it (`addEos`). */
export const appendEos = (): Preprocessor => withEos('appendEos', () => undefined)

/**
 * SeqIO's `append_eos_after_trim`: cuts each feature that asks for EOS to one token less than its length, if it has
 * one, then appends EOS. As in SeqIO, a length of 0 cuts off only the last token.
 */
export const appendEosAfterTrim = (): Preprocessor =>
  withEos('appendEosAfterTrim', (name, { lengths }) => (lengths as Partial<typeof lengths>)?.[name])

const withEos = (
  name: string,
  lengthOf: (feature: string, context: PreprocessorContext) => number | undefined,
): Preprocessor =>
  mapPreprocessor(
    name,
    (example, context) =>
      mapFields(example, (value, feature) => {
        if (!(feature in context.features)) return value
        const { vocabulary, addEos = true } = context.features[feature]
        if (!addEos) return value
        const length = lengthOf(feature, context)
        return changeTokens(value, feature, tokens =>
          append(length === undefined ? tokens : tokens.subarray(0, length - 1), vocabulary.eosId),
        )
      }),
    {},
  )
