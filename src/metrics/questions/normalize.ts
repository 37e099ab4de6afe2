import { ASCII_PUNCTUATION, pythonLower, pythonSplit, pythonWholeWords } from '../../text/python-text.js'

const asciiPunctuation = new RegExp(`[${ASCII_PUNCTUATION.replace(/[\\\]^-]/g, '\\$&')}]`, 'g')
const triviaPunctuation = new RegExp(`${asciiPunctuation.source}|[‘’´]`, 'g')
const articles = pythonWholeWords('a|an|the')

const withoutArticles = (text: string): string[] => pythonSplit(text.replace(articles, ' '))

/** SQuAD's normalization: lower case, without ASCII punctuation, the articles a, an, the, and extra white space. */
export const normalizeSquad = (text: string): string => coqaTokens(text).join(' ')

/**
 * TriviaQA's normalization: as SQuAD's, but a punctuation mark becomes a space, and single quotation marks and accents
 * (‘ ’ ´) count as punctuation.
 */
export const normalizeTriviaQa = (text: string): string =>
  withoutArticles(pythonLower(text).replace(triviaPunctuation, ' ')).join(' ')

/** The words of a text after SQuAD's normalization, which CoQA shares. */
export const coqaTokens = (text: string): string[] => withoutArticles(pythonLower(text).replace(asciiPunctuation, ''))
