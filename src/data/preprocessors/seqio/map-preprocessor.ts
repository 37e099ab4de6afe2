import { mapDataset } from '../../dataset.js'
import type { Fields, FieldValue, Preprocessor, PreprocessorContext } from '../../preprocessor.js'

/** The keys of preprocessors, by their functions: a copy of a preprocessor with another function has no key. */
const keys = new WeakMap<Preprocessor['apply'], string>()

/**
 * A preprocessor that changes each example by itself. For `options`, `change` must be one of our own functions that
 * depends on the example, the context and these options alone: the result then has a key.
 */
export function mapPreprocessor(
  name: string,
  change: (example: Fields, context: PreprocessorContext) => Fields,
  options?: object,
): Preprocessor {
  const apply: Preprocessor['apply'] = (dataset, context) => mapDataset(dataset, example => change(example, context))
  if (options !== undefined) keys.set(apply, JSON.stringify([name, options]))
  return { name, apply }
}

/**
 * Says what a preprocessor does, if it changes each example by itself and is not a user's function: of two with one
 * key, both do the same in the same version of this library.
 */
export const preprocessorKey = ({ apply }: Preprocessor): string | undefined => keys.get(apply)

/** Another function for a preprocessor, which does the same: the result has its key. */
export function withApply(preprocessor: Preprocessor, apply: Preprocessor['apply']): Preprocessor {
  const key = preprocessorKey(preprocessor)
  if (key !== undefined) keys.set(apply, key)
  return { ...preprocessor, apply }
}

/** The example with each value changed. */
export const mapFields = (example: Fields, change: (value: FieldValue, name: string) => FieldValue): Fields =>
  Object.fromEntries(Object.entries(example).map(([name, value]) => [name, change(value, name)]))
