import type { Preprocessor } from '../../preprocessor.js'
import { filterDataset } from '../../stages/filter.js'
import { eachExample, textAt } from './fields.js'
import { asciiWords, byteLength, collapseSpaces } from './tensorflow-text.js'

/** T5's `lm`: `{ inputs: '', targets: text }`. */
export const lm = (): Preprocessor =>
  eachExample('lm', example => ({ inputs: '', targets: textAt(example, 'text', 'lm') }))

/** T5's `summarize`: `{ inputs: 'summarize: article', targets: summary }`. */
export const summarize = ({
  articleKey,
  summaryKey,
}: {
  readonly articleKey: string
  readonly summaryKey: string
}): Preprocessor =>
  eachExample('summarize', example => ({
    inputs: `summarize: ${textAt(example, articleKey, 'summarize')}`,
    targets: textAt(example, summaryKey, 'summarize'),
  }))

// Scripts without spaces between words: T5's list.
// prettier-ignore
const nonSpaced = new RegExp(`[${[
  '\\u1000-\\u104f', // Burmese
  '\\u2e80-\\u2eff', '\\u31c0-\\u31ef', '\\u3400-\\u4dbf', '\\u4e00-\\u9fff', '\\uf900-\\ufaff', // Chinese characters
  '\\u3000-\\u303f', '\\u3040-\\u30ff', // CJK punctuation, Japanese kana
  '\\ua980-\\ua9df', // Javanese
  '\\u1780-\\u17ff', '\\u19e0-\\u19ff', // Khmer
  '\\u0e80-\\u0eff', // Lao
  '\\u1980-\\u19df', '\\u1a20-\\u1aaf', // Tai Lue, Tai Tham
  '\\u0e00-\\u0e7f', // Thai
  '\\u0f00-\\u0fff', // Tibetan
].join('')}]`, 'gu')

/**
 * T5's `pad_nonspaced_languages`: a space on both sides of each character of Burmese, Chinese, Japanese, Javanese,
 * Khmer, Lao, Tai, Thai and Tibetan; then each run of white space becomes one space.
 */
export const padNonspacedLanguages = ({ textKey = 'text' }: { readonly textKey?: string } = {}): Preprocessor =>
  eachExample('padNonspacedLanguages', example => ({
    ...example,
    [textKey]: collapseSpaces(textAt(example, textKey, 'padNonspacedLanguages').replace(nonSpaced, ' $& ')),
  }))

/** T5's `filter_by_string_length`: keeps examples whose text has `minLength` to `maxLength` bytes of UTF-8. */
export const filterByStringLength = ({
  featureKey = 'targets',
  minLength = 1,
  maxLength = 1_000_000,
}: { readonly featureKey?: string; readonly minLength?: number; readonly maxLength?: number } = {}): Preprocessor => ({
  name: 'filterByStringLength',
  apply: dataset =>
    filterDataset(dataset, example => {
      const length = byteLength(textAt(example, featureKey, 'filterByStringLength'))
      return length >= minLength && length <= maxLength
    }),
})

export interface WordsOptions {
  readonly textKey?: string
  /** Examples with fewer words are dropped. Default: 2. */
  readonly minNumWords?: number
}

/** T5's `split_text_to_words`: adds `words`, the words between ASCII white space; drops examples with too few. */
export const splitTextToWords = ({ textKey = 'text', minNumWords = 2 }: WordsOptions = {}): Preprocessor => {
  const name = 'splitTextToWords'
  const split = eachExample(name, example => ({ ...example, words: asciiWords(textAt(example, textKey, name)) }))
  return {
    name,
    apply: (dataset, context) =>
      filterDataset(
        split.apply(dataset, context),
        example => (example.words as readonly string[]).length >= minNumWords,
      ),
  }
}
