import { RE2JS } from 're2js'
import { ConfigError } from '../../../base/errors.js'
import { pythonLower, pythonStrip } from '../../../text/python-text.js'
import type { Preprocessor } from '../../preprocessor.js'
import { eachExample, textAt, valueAt } from './fields.js'
import { compileRe2 } from './re2.js'

const name = 'wnliSimple'
const pronouns: ReadonlySet<string> = new Set(['he', 'she', 'they', 'it', 'her', 'his', 'their', 'them', 'him'])

/**
 * T5's `wnli_simple`: turns WNLI's pair of sentences into the form of `wscSimple`. The hypothesis repeats a part of the
 * premise with a pronoun replaced by a noun. The pronoun whose neighbours the hypothesis repeats most is marked, and
 * the noun becomes the targets: `{ inputs: 'wsc: ... *It* was tasty.', targets: 'The worm', premise, hypothesis, label,
 * idx }`. It is a heuristic for evaluation. Throws a ConfigError for a premise without a pronoun.
 */
export const wnliSimple = ({ label = 'wsc:' }: { readonly label?: string } = {}): Preprocessor =>
  eachExample(name, example => {
    const premise = textAt(example, 'sentence1', name)
    const hypothesis = textAt(example, 'sentence2', name)
    const { index, candidate } = bestMatch(cleanWords(premise), cleanWords(hypothesis))
    return {
      inputs: `${label} ${highlight(premise, index)}`,
      targets: inOriginalForm(fromLastArticle(candidate), hypothesis),
      premise,
      hypothesis,
      label: example.label ?? 0,
      idx: valueAt(example, 'idx', name),
    }
  })

/** Lower-case words without a punctuation mark at their end. */
const cleanWords = (text: string): string[] =>
  pythonLower(pythonStrip(text))
    .split(' ')
    .map(word => word.replace(/[.,?!](?=\n?$)/, ''))
    .filter(word => word !== '')

interface PronounMatch {
  /** The pronoun's index among the words of the premise. */
  readonly index: number
  /** How many words before and after the pronoun occur in the hypothesis too. */
  readonly score: number
  /** What stands in the hypothesis in the place of the pronoun; empty if that was not found. */
  readonly candidate: string
}

function bestMatch(premise: readonly string[], hypothesis: readonly string[]): PronounMatch {
  const matches = premise.flatMap((word, index) => (pronouns.has(word) ? [matchAt(premise, hypothesis, index)] : []))
  if (matches.length === 0)
    throw new ConfigError(`${name}: there is no pronoun in ${JSON.stringify(premise.join(' '))}`)
  return matches.reduce((best, match) => (match.score > best.score ? match : best))
}

function matchAt(premise: readonly string[], hypothesis: readonly string[], index: number): PronounMatch {
  const [before, after] = [premise.slice(0, index), premise.slice(index + 1)]
  const sizeBefore = repeatedWords([...before].reverse(), [...hypothesis].reverse())
  const sizeAfter = repeatedWords(after, hypothesis)
  const score = sizeBefore + sizeAfter
  if (score === 0) return { index, score, candidate: '' }
  const left = before.slice(before.length - sizeBefore)
  const right = after.slice(0, sizeAfter)
  // The candidate is between the repeated words; or at the beginning or the end of the hypothesis.
  const patterns = [
    [...left, '(.+)', ...right],
    ['^(.+)', ...right],
    [...left, '(.+)$'],
  ]
  const text = hypothesis.join(' ')
  for (const pattern of patterns) {
    const matcher = compileRe2(pattern.join(' '), name).matcher(text)
    if (matcher.find()) return { index, score, candidate: matcher.group(1) ?? '' }
  }
  return { index, score, candidate: '' }
}

/** How many of the first words, joined by spaces, occur in the text of the other words. */
function repeatedWords(words: readonly string[], others: readonly string[]): number {
  const text = others.join(' ')
  const missing = words.findIndex((_, i) => !text.includes(words.slice(0, i + 1).join(' ')))
  return missing < 0 ? words.length : missing
}

/** "worm." becomes "*worm* .". */
function highlight(sentence: string, index: number): string {
  const words = sentence.split(' ')
  const word = words[index]
  if (word === '') throw new ConfigError(`${name}: two spaces in a row in ${JSON.stringify(sentence)}`)
  words[index] = /[.,!?]$/.test(word) ? `*${word.slice(0, -1)}* ${word.at(-1)}` : `*${word}*`
  return words.join(' ')
}

/** The candidate from its last article on: a candidate may begin too early. */
function fromLastArticle(candidate: string): string {
  const words = candidate.split(' ')
  return words.slice(Math.max(0, ...['a', 'an', 'the'].map(article => words.indexOf(article)))).join(' ')
}

/** The candidate as the hypothesis has it, with its capital letters; never as a possessive. */
function inOriginalForm(candidate: string, hypothesis: string): string {
  const words = candidate.split(' ').map(word => `${RE2JS.quote(word)}(?:\\.|,|\\?|!)?`)
  const matcher = compileRe2(`(${words.join(' ')})`, name, RE2JS.CASE_INSENSITIVE).matcher(hypothesis)
  if (!matcher.find())
    throw new ConfigError(`${name}: ${JSON.stringify(candidate)} does not occur in ${JSON.stringify(hypothesis)}`)
  const found = (matcher.group(1) ?? '').replace(/[.,!?]$/, '')
  return found.replace(/('|'s)$/, '')
}
