import { ConfigError } from '../../../base/errors.js'
import type { Vocabulary } from '../../../text/vocabulary.js'
import type { Fields, FieldValue, Preprocessor } from '../../preprocessor.js'
import { mapPreprocessor } from './map-preprocessor.js'
import { append } from './tokens.js'

export interface TokenizeOptions {
  /** Whether the text of a feature is kept as `NAME_pretokenized`. Default: true. */
  readonly copyPretokenized?: boolean
  /** Whether EOS is appended to the features that ask for it (`addEos`). Default: false. */
  readonly withEos?: boolean
}

/** The name of the preprocessors that turn texts into token ids. */
export const TOKENIZE = 'tokenize'

/**
 * SeqIO's `tokenize`: the texts of the task's features become token ids; other fields are kept. A list of texts becomes
 * a list of sequences, of which only the last gets EOS.
 */
export const tokenize = ({ copyPretokenized = true, withEos = false }: TokenizeOptions = {}): Preprocessor =>
  mapPreprocessor(
    TOKENIZE,
    (example, { features }) => {
      const tokenized: Record<string, FieldValue> = {}
      for (const [name, value] of Object.entries(example)) {
        if (!(name in features)) {
          tokenized[name] = value
          continue
        }
        const { vocabulary, addEos = true } = features[name]
        if (copyPretokenized) tokenized[`${name}_pretokenized`] = value
        tokenized[name] = encode(value, name, vocabulary, withEos && addEos)
      }
      return tokenized satisfies Fields
    },
    { copyPretokenized, withEos },
  )

/** SeqIO's `tokenize_and_append_eos`: `tokenize` with EOS. */
export const tokenizeAndAppendEos = (options: Pick<TokenizeOptions, 'copyPretokenized'> = {}): Preprocessor => ({
  ...tokenize({ ...options, withEos: true }),
  name: 'tokenizeAndAppendEos',
})

function encode(value: FieldValue, feature: string, vocabulary: Vocabulary, eos: boolean): FieldValue {
  if (typeof value === 'string') {
    const tokens = Int32Array.from(vocabulary.encode(value))
    return eos ? append(tokens, vocabulary.eosId) : tokens
  }
  if (!Array.isArray(value))
    throw new ConfigError(
      `the feature "${feature}" must be a text or a list of texts to be tokenized, not ${typeof value}`,
    )
  const items = value as readonly FieldValue[]
  return items.map((item, i) => {
    const endsHere = typeof item !== 'string' || i === items.length - 1
    return encode(item, feature, vocabulary, eos && endsHere)
  })
}
