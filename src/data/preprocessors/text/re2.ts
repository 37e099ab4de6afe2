import { RE2JS } from 're2js'
import { ConfigError } from '../../../base/errors.js'

/**
 * Compiles a regular expression that is made from text of the data, with RE2's syntax and meaning, as in TensorFlow.
 * Matching takes time linear in the text whatever the pattern is. Throws a ConfigError for a pattern that is no regular
 * expression; `from` says what it was made from.
 */
export function compileRe2(pattern: string, from: string, flags = 0): RE2JS {
  try {
    return RE2JS.compile(pattern, flags)
  } catch (error) {
    throw new ConfigError(
      `${from}: the text is used as a regular expression, and ${JSON.stringify(pattern)} is none (${(error as Error).message})`,
    )
  }
}

/** A match: the text of the whole and of each group. A group that took no part is empty. */
type Groups = readonly string[]

interface Match {
  readonly start: number
  readonly end: number
  readonly groups: Groups
}

/** `tf.strings.regex_replace`: RE2's GlobalReplace, or Replace of the first match only if `all` is false. */
export function replaceRe2(expression: RE2JS, text: string, rewrite: string, all = true): string {
  if (greatestGroup(rewrite) > expression.groupCount()) return text
  let result = ''
  let copied = 0
  for (const { start, end, groups } of matchesOf(expression, text)) {
    const written = rewritten(rewrite, groups)
    // RE2 writes a bad rewrite up to the error, except where it replaces one match only: then it changes nothing.
    if (!all && !written.isWhole) return text
    result += text.slice(copied, start) + written.text
    copied = end
    if (!all) break
  }
  return result + text.slice(copied)
}

/** The matches from left to right. An empty match directly after another match does not count. */
function* matchesOf(expression: RE2JS, text: string): Generator<Match> {
  const matcher = expression.matcher(text)
  let last = -1
  let from = 0
  while (from <= text.length && matcher.find(from)) {
    const [start, end] = [matcher.start(), matcher.end()]
    if (start === end && start === last) {
      from = start + ((text.codePointAt(start) ?? 0) > 0xffff ? 2 : 1)
      continue
    }
    const groups = Array.from({ length: expression.groupCount() + 1 }, (_, i) => matcher.group(i) ?? '')
    yield { start, end, groups }
    last = end
    from = end
  }
}

/** RE2's rewrite: \0 to \9 are groups, \\ is a backslash. Any other backslash is an error, at which the result ends. */
function rewritten(rewrite: string, groups: Groups): { text: string; isWhole: boolean } {
  let text = ''
  for (let i = 0; i < rewrite.length; i++) {
    if (rewrite[i] !== '\\') {
      text += rewrite[i]
      continue
    }
    const escaped = rewrite[++i] ?? ''
    if (/\d/.test(escaped)) text += groups[Number(escaped)]
    else if (escaped === '\\') text += '\\'
    else return { text, isWhole: false }
  }
  return { text, isWhole: true }
}

const greatestGroup = (rewrite: string): number =>
  Math.max(0, ...Array.from(rewrite.matchAll(/\\(.)/gs), ([, escaped]) => (/\d/.test(escaped) ? Number(escaped) : 0)))
