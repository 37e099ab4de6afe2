import { ConfigError } from '../../base/errors.js'
import { inputIds, targetIds } from '../../text/special-tokens.js'
import type { Feature, Fields, FieldValue, Preprocessor } from '../preprocessor.js'
import { mapPreprocessor } from './seqio/map-preprocessor.js'

/** The name of the preprocessor that `encodeTexts` makes. */
export const ENCODE = 'encode'

/**
 * The last preprocessor of a task: a side that is still text is encoded by the vocabulary of its feature, with EOS and
 * other special tokens around if the feature asks for EOS; one that is token ids already stays as it is. Other fields
 * are left out. `prepare` is that of the task's codec. Throws a ConfigError, with the task's name, for a side that is
 * neither.
 */
export function encodeTexts(task: string, prepare: (text: string) => string): Preprocessor {
  const tokensOf = (side: 'inputs' | 'targets', value: FieldValue | undefined, feature: Feature): Int32Array => {
    if (value instanceof Int32Array) return value
    if (typeof value === 'string')
      return side === 'inputs' ? encode(feature, prepare(value), inputIds) : encode(feature, value, targetIds)
    throw new ConfigError(
      `the task ${task}: its preprocessors give examples whose "${side}" is ${value === undefined ? 'missing' : 'neither text nor token ids'}`,
    )
  }
  return mapPreprocessor(
    ENCODE,
    ({ inputs, targets }: Fields, { features }) => ({
      inputs: tokensOf('inputs', inputs, features.inputs),
      targets: tokensOf('targets', targets, features.targets),
    }),
    ways.includes(prepare) ? { prepare: ways.indexOf(prepare) } : undefined,
  )
}

/** The ways in which our codecs normalize an input before it is encoded. */
export const unchanged = (text: string): string => text
export const trimmed = (text: string): string => text.trim()
export const trimmedLowercase = (text: string): string => text.trim().toLowerCase()
const ways: readonly ((text: string) => string)[] = [unchanged, trimmed, trimmedLowercase]

const encode = ({ vocabulary, addEos = true }: Feature, text: string, whole: typeof inputIds): Int32Array =>
  Int32Array.from(addEos ? whole(vocabulary, text) : vocabulary.encode(text))
