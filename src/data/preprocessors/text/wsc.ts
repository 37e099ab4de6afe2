import { ConfigError } from '../../../base/errors.js'
import { mapDataset } from '../../dataset.js'
import type { Fields, Preprocessor } from '../../preprocessor.js'
import { filterDataset } from '../../stages/filter.js'
import { eachExample, labelName, numberAt, textAt, textsAt, valueAt } from './fields.js'
import { compileRe2, replaceRe2 } from './re2.js'

/**
 * T5's `wsc` (Winograd schema challenge): `{ inputs: 'wsc text: # This # is a * test * .', targets: 'True', idx }`,
 * with " * " around the noun (span 1) and " # " around the pronoun (span 2). As in T5, a span's text is used as a
 * regular expression, at the word of its index; words are separated by single characters of white space. A span that is
 * not found stays unmarked.
 */
export const wsc = (): Preprocessor =>
  eachExample('wsc', example => {
    const [first, second] = [1, 2].map(span => ({
      text: textAt(example, `span${span}_text`, 'wsc'),
      index: numberAt(example, `span${span}_index`, 'wsc'),
    }))
    // The marks around the first span are two more words.
    const shifted = second.index + (first.index < second.index ? 2 : 0)
    const marked = markSpan(textAt(example, 'text', 'wsc'), first.text, first.index, '*')
    return {
      inputs: `wsc text: ${markSpan(marked, second.text, shifted, '#')}`,
      targets: labelName(numberAt(example, 'label', 'wsc'), ['False', 'True'], 'wsc'),
      idx: valueAt(example, 'idx', 'wsc'),
    }
  })

function markSpan(text: string, span: string, index: number, mark: string): string {
  // T5 makes the pattern by a replacement in a template, in which the span is a rewrite string.
  const pattern = replaceRe2(compileRe2('W', 'wsc'), `^((?:\\S+\\s){${index}})(W)`, span)
  const expression = compileRe2(pattern, `wsc: the span ${JSON.stringify(span)}`)
  return replaceRe2(expression, text, `\\1${mark} \\2 ${mark}`)
}

export interface WscSimpleOptions {
  /** The text with which the inputs begin. Default: `wsc:`. */
  readonly label?: string
  /** Drops examples whose noun is not what the pronoun refers to. Training needs it. Default: false. */
  readonly correctReferentOnly?: boolean
}

/**
 * T5's `wsc_simple`: `{ inputs: 'wsc: ... if *he* could ...', targets: <the noun>, label, idx }`: the pronoun is marked
 * in place. Throws a ConfigError if the pronoun is the first word, or is not the word at its index.
 */
export const wscSimple = ({ label = 'wsc:', correctReferentOnly = false }: WscSimpleOptions = {}): Preprocessor => {
  const name = 'wscSimple'
  return {
    name,
    apply(dataset) {
      const used = correctReferentOnly ? filterDataset(dataset, example => Boolean(example.label ?? 0)) : dataset
      return mapDataset(used, example => {
        const rewrite = ` *${textAt(example, 'span2_text', name)}* `
        return {
          inputs: `${label} ${replaceRe2(compileRe2(' X ', name), withBlank(example, name), rewrite)}`,
          targets: textAt(example, 'span1_text', name),
          label: example.label ?? 0,
          idx: valueAt(example, 'idx', name),
        }
      })
    },
  }
}

/** The text with X in place of the pronoun. */
function withBlank(example: Fields, name: string): string {
  const text = textAt(example, 'text', name)
  const words = text.split(' ')
  const index = numberAt(example, 'span2_index', name)
  if (index <= 0 || index >= words.length)
    throw new ConfigError(`${name}: the pronoun is word ${index} of ${words.length}, but it must not be the first one`)
  const known = irregularTexts.get(text)
  if (known !== undefined) return known
  const pronoun = textAt(example, 'span2_text', name)
  if (words[index] !== pronoun)
    throw new ConfigError(
      `${name}: word ${index} of the text is ${JSON.stringify(words[index])}, not the pronoun ${JSON.stringify(pronoun)}`,
    )
  // A pronoun at the end has a space after it.
  return [words.slice(0, index).join(' '), 'X', words.slice(index + 1).join(' ')].join(' ')
}

/** Two texts of the data set whose index does not point to the pronoun, with X in its place. */
const irregularTexts: ReadonlyMap<string, string> = new Map([
  [
    'The boy continued to whip the pony , and eventually the pony threw him over. John laughed out quite loud. "Good for him," he said. ',
    'The boy continued to whip the pony , and eventually the pony threw him over. John laughed out quite loud. "Good for X ," he said.',
  ],
  [
    'When they had eventually calmed down a bit , and had gotten home, Mr. Farley put the magic pebble in an iron safe . Some day they might want to use it , but really for now, what more could they wish for?',
    'When they had eventually calmed down a bit , and had gotten home, Mr. Farley put the magic pebble in an iron safe . Some day they might want to use X , but really for now, what more could they wish for?',
  ],
])

/**
 * T5's `definite_pronoun_resolution_simple`: `{ inputs: 'wsc: Bob asked Tom if *he* can ...', targets: 'Tom' }`. The
 * first occurrence of the pronoun after a space and before a space, period or comma is marked; as in T5, the pronoun is
 * used as a regular expression.
 */
export const definitePronounResolutionSimple = ({ label = 'wsc:' }: { readonly label?: string } = {}): Preprocessor => {
  const name = 'definitePronounResolutionSimple'
  return eachExample(name, example => {
    const pronoun = textAt(example, 'pronoun', name)
    const expression = compileRe2(` (${pronoun})( |\\.|,)`, `${name}: the pronoun ${JSON.stringify(pronoun)}`)
    const candidates = textsAt(example, 'candidates', name)
    const chosen = numberAt(example, 'label', name)
    if (!(chosen in candidates))
      throw new ConfigError(`${name}: an example has the label ${chosen}, but ${candidates.length} candidates`)
    return {
      inputs: `${label} ${replaceRe2(expression, textAt(example, 'sentence', name), ' *\\1*\\2', false)}`,
      targets: candidates[chosen],
    }
  })
}
