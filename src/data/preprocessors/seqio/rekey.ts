import { ConfigError } from '../../../base/errors.js'
import type { Preprocessor } from '../../preprocessor.js'
import { mapPreprocessor } from './map-preprocessor.js'

/**
 * SeqIO's `rekey`: examples with the new field names of `keyMap`, each with the value of the old name given for it. For
 * null the value is an empty text. Without a map, or with an empty one, examples are unchanged.
 */
export const rekey = (keyMap: { readonly [newName: string]: string | null } | null = null): Preprocessor =>
  mapPreprocessor(
    'rekey',
    example => {
      const entries = Object.entries(keyMap ?? {})
      if (entries.length === 0) return example
      return Object.fromEntries(
        entries.map(([newName, oldName]) => {
          if (!oldName) return [newName, '']
          if (!(oldName in example))
            throw new ConfigError(`an example has no field "${oldName}"; it has ${Object.keys(example).join(', ')}`)
          return [newName, example[oldName]]
        }),
      )
    },
    { keyMap },
  )
