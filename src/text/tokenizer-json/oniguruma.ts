import { RE2JS } from 're2js'
import { WHITE_SPACE } from './unicode.js'

/** A pattern for RE2. */
export interface Re2Pattern {
  readonly pattern: string
  /** The number of a group that matches like `\s+(?!\S)|\s+`, once the last of several characters is left out. */
  readonly spacesGroup: number | undefined
  /** Whether an empty match needs the start of a line: none begins at the end of a text, after a line feed. */
  readonly atLineStart: boolean
}

/** Runs of white space in the patterns of GPT-2 and later models; RE2 has no lookahead. */
const SPACES = '\\s+(?!\\S)|\\s+'

const hex = (code: string): string => `\\x{${code}}`
const SPACE = WHITE_SPACE.replace(/\\u([0-9a-f]{4})/gu, (_, code: string) => hex(code))
/** All characters but white space. */
const NOT_SPACE =
  '\\x00-\\x08\\x0e-\\x1f!-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}'
const WORD =
  '\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}'
/** Outside a class, superscripts and fractions of Latin-1 are word characters too. */
const LATIN_NUMBERS = '\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}'

/** Escapes that have the same meaning in both, in a class and outside. */
const SAME = /^\\(?:[aftnr]|[^\p{L}\p{N}\s]|x[0-9A-Fa-f]{2})/u
const PROPERTY = /^\\[pP]\{\^?[A-Za-z_]+\}/u
/** Matches no character. */
const NEVER = '[^\\x00-\\x{10ffff}]'
/** Letters that match a single character without regard to case, as `ss` does `ß`. */
const MULTIPLE = /ss|ff|fi|fl|st|[^\0-\x7f]/iu

/** Properties that have only one of a letter's cases, or may. */
const CASED = /\\[pP]\{\^?(?![LMNPSZ]\})/u

/**
 * Rewrites a regular expression of Oniguruma, the syntax of tokenizer.json, for RE2, which matches in linear time.
 * Throws an Error that names what RE2 lacks or would match in another way.
 */
export function re2Pattern(regex: string): Re2Pattern {
  const endsInSpaces = regex === SPACES || regex.endsWith(`|${SPACES}`)
  const source = endsInSpaces ? regex.slice(0, -SPACES.length) : regex
  if (/\(\?[a-z]*i/u.test(source)) {
    if (MULTIPLE.test(source)) throw new Error('letters of several characters without regard to case are not supported')
    // A property keeps its regard to case in Oniguruma.
    if (CASED.test(source)) throw new Error('a property is not supported without regard to case')
  }
  let result = ''
  /** The pattern with a start of a line that is never found. */
  let elsewhere = ''
  let groups = 0
  let before = '('
  const opened: number[] = []
  for (let at = 0; at < source.length;) {
    const rest = source.slice(at)
    const [taken, written] =
      rest[0] === '\\' ? escape(rest, false) : rest[0] === '[' ? characterClass(rest) : plain(rest, at)
    if (rest[0] === '^' && !/^[(|]/u.test(before)) throw new Error('^ inside a line is not supported')
    if (written === '(' || written.startsWith('(?P<')) groups++
    if (rest[0] === '(' && !written.endsWith(')')) opened.push(result.length)
    result += written
    elsewhere += rest[0] === '^' ? NEVER : written
    if (rest[0] === ')' && /^\)[*+{]/u.test(rest) && matchesNothing(result.slice(opened.at(-1))))
      throw new Error('a repetition of what may be empty is not supported')
    if (rest[0] === ')') opened.pop()
    before = written
    at += taken
  }
  // Lines begin and end at line feeds without a flag.
  const pattern = `(?m)${result}${endsInSpaces ? `([${SPACE}]+)` : ''}`
  const atLineStart = elsewhere !== result && !matchesNothing(elsewhere)
  return { pattern, spacesGroup: endsInSpaces ? groups + 1 : undefined, atLineStart }
}

/** Whether a pattern of RE2 matches the empty text. */
const matchesNothing = (pattern: string): boolean => RE2JS.compile(pattern).matcher('').find()

type Rewritten = [taken: number, written: string]

function plain(rest: string, at: number): Rewritten {
  const group = /^\((?:\?(?:<([A-Za-z_]\w*)>|([imx-]*)([:)])|.{0,2}))?/u.exec(rest)
  if (group) {
    const [all, name, flags, end] = group
    if (all === '(') return [1, '(']
    if (name !== undefined) return [all.length, `(?P<${name}>`]
    // Its flag m lets a dot match line feeds, which is RE2's s.
    // Flags without a group of their own hold to the end of the pattern here, to that of an alternative in RE2.
    if (flags !== undefined && !flags.includes('x') && (end === ':' || at === 0))
      return [all.length, `(?${flags.replace('m', 's')}${end}`]
    throw new Error(`the group ${all} is not supported`)
  }
  const count = /^\{(\d*)(,?)(\d*)\}/u.exec(rest)
  if (count?.[1] === '' && count[3] !== '') throw new Error(`the repetition ${count[0]} is not supported`)
  const repeated = /^(?:[*+?]|\{\d+(?:,\d*)?\})(\??)([*+?{]?)/u.exec(rest)
  if (repeated) {
    const [all, lazy, more] = repeated
    if (more !== '') throw new Error(`the repetition ${all} is not supported`)
    // `{n}?` is not lazy here, but optional.
    if (lazy !== '' && /^\{\d+\}/u.test(all)) throw new Error(`the repetition ${all} is not supported`)
    return [all.length, all]
  }
  const character = String.fromCodePoint(rest.codePointAt(0)!)
  return [character.length, character === '{' || character === '}' ? `\\${character}` : character]
}

function escape(rest: string, inClass: boolean): Rewritten {
  const set = (inside: string): Rewritten => [2, inClass ? inside : `[${inside}]`]
  const letter = rest[1]
  if (letter === 'd') return set('\\p{Nd}')
  if (letter === 'D') return set('\\P{Nd}')
  if (letter === 's') return set(SPACE)
  if (letter === 'S') return set(NOT_SPACE)
  if (letter === 'w') return set(inClass ? WORD : WORD + LATIN_NUMBERS)
  if (letter === 'W' && !inClass) return [2, `[^${WORD}${LATIN_NUMBERS}]`]
  if (letter === 'h') return set('0-9A-Fa-f')
  if (letter === 'v') return set('\\x0b')
  if (letter === 'e') return set('\\x1b')
  if (!inClass && (letter === 'A' || letter === 'z')) return [2, rest.slice(0, 2)]
  const code = /^\\(?:u([0-9A-Fa-f]{4})|x\{([0-9A-Fa-f]{1,6})\})/u.exec(rest)
  if (code) return [code[0].length, hex(code[1] ?? code[2])]
  if (letter === ' ') return [2, ' ']
  const same = SAME.exec(rest) ?? PROPERTY.exec(rest)
  if (same) return [same[0].length, same[0]]
  throw new Error(`${rest.slice(0, 2)} is not supported${inClass ? ' between brackets' : ''}`)
}

function characterClass(rest: string): Rewritten {
  let at = rest[1] === '^' ? 2 : 1
  let result = rest.slice(0, at)
  const first = at
  while (at < rest.length) {
    if (rest[at] === ']' && at > first) return [at + 1, `${result}]`]
    if (rest[at] === '[' || rest[at] === ']' || rest.startsWith('&&', at))
      throw new Error(`${rest[at]} between brackets is not supported`)
    const [taken, written] = rest[at] === '\\' ? escape(rest.slice(at), true) : [1, rest[at]]
    result += written
    at += taken
  }
  throw new Error('a bracket is not closed')
}
