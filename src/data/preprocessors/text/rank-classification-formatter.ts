import { ConfigError } from '../../../base/errors.js'
import type { Fields, Preprocessor } from '../../preprocessor.js'
import { numberAt, textAt, valueAt } from './fields.js'
import { rankClassification } from './rank-classification.js'
import type { RankClassificationMode } from './rank-classification.js'
import { compileRe2, replaceRe2 } from './re2.js'

export interface RankClassificationFormatterOptions {
  /**
   * A format of the inputs, or one for each possible answer. `{premise}` is replaced by a field, `{a/b}` by field b of
   * a.
   */
  readonly inputsFormats: string | readonly string[]
  /** As `inputsFormats`, for the targets. One of the two is a list. */
  readonly targetsFormats: string | readonly string[]
  readonly mode?: RankClassificationMode
  /** The field with the index of the right answer, or a list of indices. Default: `label`. */
  readonly labelKey?: string
  /** The field with the example's weight. Default: none. */
  readonly weightKey?: string
}

/**
 * T5's `rank_classification_formatter`: `rankClassification` with inputs and targets from formats. As in T5, a field's
 * text is a rewrite string of RE2: `\0` in it is the placeholder, and another backslash (but `\\`) ends the text.
 *
 * Throws a ConfigError if none of the two formats is a list. As in T5, both cannot be lists.
 */
export function rankClassificationFormatter({
  inputsFormats,
  targetsFormats,
  mode,
  labelKey = 'label',
  weightKey,
}: RankClassificationFormatterOptions): Preprocessor {
  const name = 'rankClassificationFormatter'
  if (typeof inputsFormats === typeof targetsFormats)
    throw new ConfigError(`${name}: either inputsFormats or targetsFormats must be a list, and not both`)
  const classes = typeof inputsFormats === 'string' ? targetsFormats.length : inputsFormats.length
  const apply = (formats: string | readonly string[]) => {
    const each = typeof formats === 'string' ? Array<string>(classes).fill(formats) : formats
    return (example: Fields): string[] => each.map(format => fillIn(format, example, name))
  }
  const ranked = rankClassification({
    inputsFn: apply(inputsFormats),
    targetsFn: apply(targetsFormats),
    isCorrectFn: example => {
      const labels = labelsOf(example, labelKey, name)
      return Array.from({ length: classes }, (_, label) => labels.includes(label))
    },
    weightFn: weightKey === undefined ? undefined : example => numberAt(example, weightKey, name),
    mode,
  })
  return { ...ranked, name }
}

function labelsOf(example: Fields, key: string, name: string): readonly number[] {
  const value = valueAt(example, key, name)
  return Array.isArray(value) || ArrayBuffer.isView(value)
    ? Array.from(value as ArrayLike<unknown>, Number)
    : [numberAt(example, key, name)]
}

function fillIn(format: string, example: Fields, name: string): string {
  const keys = new Set(Array.from(format.matchAll(/\{(\S+)\}/gu), ([, key]) => key))
  let text = format
  for (const key of keys)
    text = replaceRe2(compileRe2(`{${key}}`, `${name}: the format ${format}`), text, textAt(example, key, name))
  return text
}
