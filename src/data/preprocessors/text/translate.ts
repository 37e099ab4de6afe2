import { ConfigError } from '../../../base/errors.js'
import type { Fields, Preprocessor } from '../../preprocessor.js'
import { filterDataset } from '../../stages/filter.js'
import { eachExample, textAt, textsAt } from './fields.js'

export interface LanguagePair {
  /** A language code, such as `de`. Of a longer code, such as `zh-cn`, the first two letters name the language. */
  readonly sourceLanguage: string
  readonly targetLanguage: string
}

/**
 * T5's `translate`: `{ de: ..., en: ... }` becomes `{ inputs: 'translate German to English: ...', targets: ... }`.
 * Throws a ConfigError for an unknown language.
 */
export function translate({ sourceLanguage, targetLanguage }: LanguagePair): Preprocessor {
  const prefix = `translate ${languageName(sourceLanguage)} to ${languageName(targetLanguage)}: `
  return eachExample('translate', example => ({
    inputs: prefix + textAt(example, sourceLanguage, 'translate'),
    targets: textAt(example, targetLanguage, 'translate'),
  }))
}

/**
 * T5's `multi_translate`: takes two languages from `{ translations: { language: [...], translation: [...] } }`, and
 * goes on as `translate`. Examples without one of the languages are dropped.
 */
export function multiTranslate(languages: LanguagePair): Preprocessor {
  const name = 'multiTranslate'
  const { sourceLanguage, targetLanguage } = languages
  const codes = (example: Fields): readonly string[] => textsAt(example, 'translations/language', name)
  const textIn = (example: Fields, language: string): string => {
    const all = codes(example)
    const index = all.indexOf(language)
    if (all.lastIndexOf(language) !== index)
      throw new ConfigError(`${name}: an example has two translations in the language "${language}"`)
    return textsAt(example, 'translations/translation', name)[index]
  }
  const choose = eachExample(name, example => ({
    [sourceLanguage]: textIn(example, sourceLanguage),
    [targetLanguage]: textIn(example, targetLanguage),
  }))
  const join = translate(languages)
  return {
    name,
    apply(dataset, context) {
      const both = filterDataset(dataset, example =>
        [sourceLanguage, targetLanguage].every(language => codes(example).includes(language)),
      )
      return join.apply(choose.apply(both, context), context)
    },
  }
}

/** The English name of a language, from CLDR: the source that T5's library Babel has too. */
function languageName(code: string): string {
  const names = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'none' })
  const short = code.slice(0, 2)
  const found = /^[a-z]{2}$/.test(short) ? names.of(short) : undefined
  if (found === undefined) throw new ConfigError(`translate: there is no language with the code "${code}"`)
  return found
}
