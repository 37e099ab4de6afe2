import { RE2JS } from 're2js'
import { ConfigError } from '../../base/errors.js'
import { re2Pattern } from './oniguruma.js'
import type { Step } from './steps.js'

/** Where a pattern matches: the first and last (exclusive) UTF-16 unit of each match. */
export type Matches = (text: string) => Iterable<readonly [from: number, to: number]>

const MAX_PATTERN = 10_000
/** So much of a pattern is in a message. */
const MAX_SHOWN = 200

/**
 * The pattern of a Replace or Split step. Each match of a regular expression is found in time linear in the text,
 * whatever the expression is (RE2), so the time for all matches grows with the square of the text's length at worst.
 * Throws a ConfigError for one that RE2 cannot match as the tokenizers library does.
 */
export function matcherOf(step: Step, kind: string): Matches {
  const { String: text, Regex: regex } = (step.pattern ?? {}) as { String?: unknown; Regex?: unknown }
  if (typeof text === 'string' && text !== '') return input => occurrences(input, text)
  let reason = text === '' ? 'its text is empty' : 'it is no text and no regular expression'
  if (typeof regex === 'string')
    try {
      if (regex.length <= MAX_PATTERN) return regexMatches(regex)
      reason = `it has more than ${MAX_PATTERN} characters`
    } catch (error) {
      reason = (error as Error).message
    }
  throw new ConfigError(
    `the ${kind} ${JSON.stringify(step.type)} of the tokenizer.json has a pattern that cannot be used: ${reason}. It is ${JSON.stringify(step.pattern ?? null).slice(0, MAX_SHOWN)}; write it in another way, or encode the texts with the tokenizers library`,
  )
}

/** The matches of a JavaScript pattern that matches no empty text. */
export const matcher = (pattern: RegExp): Matches =>
  function* (text) {
    for (const { index, 0: found } of text.matchAll(pattern)) yield [index, index + found.length]
  }

function* occurrences(input: string, text: string): Generator<readonly [number, number]> {
  for (let at = input.indexOf(text); at >= 0; at = input.indexOf(text, at + text.length)) yield [at, at + text.length]
}

function regexMatches(regex: string): Matches {
  const { pattern, spacesGroup, atLineStart } = re2Pattern(regex)
  const compiled = RE2JS.compile(pattern)
  return function* (text) {
    if (text === '') return
    const found = compiled.matcher(text)
    let lastEnd = -1
    for (let at = 0; at <= text.length && found.find(at);) {
      const from = found.start()
      let to = found.end()
      // A run of white space leaves its last character to the word that follows.
      if (spacesGroup !== undefined && to < text.length && to - from > 1 && found.start(spacesGroup) >= 0) to--
      if (to > from) {
        yield [from, to]
        at = to
      } else {
        const noLine = atLineStart && to === text.length && text.endsWith('\n')
        // As in the library, an empty match does not follow another match.
        if (from !== lastEnd && !noLine) yield [from, to]
        at = to + ((text.codePointAt(to) ?? 0) > 0xffff ? 2 : 1)
      }
      lastEnd = to
    }
  }
}
