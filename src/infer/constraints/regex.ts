import { RegExpParser } from '@eslint-community/regexpp'
import type { AST } from '@eslint-community/regexpp'
import { ConfigError } from '../../base/errors.js'
import type { Grammar } from './grammar.js'
import { joined, MAX_CODE_POINT, without } from './utf8.js'
import type { Range } from './utf8.js'

/** Adds one character of the given code points to a grammar. */
export type AddCharacter = (from: number, ranges: readonly Range[]) => number

export interface RegexOptions {
  /** Adds a character. Default: its UTF-8. */
  readonly character?: AddCharacter
  /** Whether a text matches that has the expression anywhere, as in JSON Schema. Default: it must match as a whole. */
  readonly isSearch?: boolean
  /** Where it is in a JSON schema, for messages. */
  readonly place?: string
}

/**
 * Adds the texts that match a regular expression of JavaScript with the flag `u`. Throws a ConfigError for an
 * expression with an error, or that cannot be read from left to right: lookaround, back references, word boundaries,
 * and `^` and `$` inside.
 */
export function addRegex(
  grammar: Grammar,
  from: number,
  source: string,
  { character = (at, ranges) => grammar.character(at, ranges), isSearch = false, place }: RegexOptions = {},
): number {
  const wrong = (problem: string): ConfigError =>
    new ConfigError(
      `the regular expression ${shortRegex(source)}${place === undefined ? '' : ` at ${place}`} ${problem}`,
    )
  let pattern: AST.Pattern
  try {
    pattern = new RegExpParser().parsePattern(source, 0, source.length, { unicode: true })
  } catch (error) {
    // The message of a syntax error has the whole expression before the last colon.
    throw wrong(`cannot be read: ${(error as Error).message.split(': ').at(-1)}`)
  }
  const sets = new Map<string, number>()
  const anything = (at: number): number =>
    grammar.repeat(at, 0, Infinity, inner => character(inner, [[0, MAX_CODE_POINT]]))
  return grammar.either(
    from,
    pattern.alternatives.map(({ elements }) => at => {
      const begins = isAnchor(elements[0], 'start')
      const ends = isAnchor(elements.at(-1), 'end')
      const inner = elements.slice(begins ? 1 : 0, ends ? -1 : undefined)
      const start = isSearch && !begins ? anything(at) : at
      const end = sequence(start, inner)
      return isSearch && !ends ? anything(end) : end
    }),
  )

  function sequence(at: number, elements: readonly AST.Element[]): number {
    return elements.reduce(element, at)
  }

  /** The rule of a set of characters, made once: a repetition of letters of all alphabets would need too many nodes. */
  function ruleOf(node: AST.CharacterClass | AST.CharacterSet): number {
    let rule = sets.get(node.raw)
    if (rule === undefined) sets.set(node.raw, (rule = grammar.rule(from => character(from, rangesOf(node)))))
    return rule
  }

  function element(at: number, node: AST.Element): number {
    switch (node.type) {
      case 'Character':
        return character(at, [[node.value, node.value]])
      case 'CharacterClass':
      case 'CharacterSet':
        return grammar.call(at, ruleOf(node))
      case 'Group':
      case 'CapturingGroup':
        return grammar.either(
          at,
          node.alternatives.map(
            ({ elements }) =>
              inner =>
                sequence(inner, elements),
          ),
        )
      case 'Quantifier': {
        const { min, max, element: repeated } = simplified(node)
        return grammar.repeat(at, min, max, inner => element(inner, repeated))
      }
      default:
        throw wrong(`has ${node.raw}, which is not supported here: write it without`)
    }
  }
}

/** A regular expression in quotes, cut after 60 characters, for messages. */
export const shortRegex = (source: string): string =>
  JSON.stringify(source.length > 60 ? `${source.slice(0, 60)}…` : source)

/**
 * A repetition of a repetition as one: `(a?){5}` is `a{0,5}`. As it is written, each of its optional parts could be the
 * one that a character belongs to.
 */
function simplified({ min, max, element }: Pick<AST.Quantifier, 'min' | 'max' | 'element'>): {
  readonly min: number
  readonly max: number
  readonly element: AST.QuantifiableElement
} {
  let inner: AST.Element = element
  while ((inner.type === 'Group' || inner.type === 'CapturingGroup') && inner.alternatives.length === 1) {
    const elements: readonly AST.Element[] = inner.alternatives[0].elements
    if (elements.length !== 1) break
    inner = elements[0]
  }
  // The numbers of characters from 0 or 1 to n, added up: every number between the smallest and the largest sum.
  if (inner.type !== 'Quantifier' || inner.min > 1 || inner.max === 0 || max === 0) return { min, max, element }
  return simplified({ min: min * inner.min, max: max * inner.max, element: inner.element })
}

const isAnchor = (node: AST.Element | undefined, kind: 'start' | 'end'): boolean =>
  node?.type === 'Assertion' && node.kind === kind

/** The code points of a character class, a part of one, or a set such as `\d`. */
function rangesOf(node: AST.CharacterClassElement | AST.CharacterClass | AST.CharacterSet): readonly Range[] {
  switch (node.type) {
    case 'Character':
      return [[node.value, node.value]]
    case 'CharacterClassRange':
      return [[node.min.value, node.max.value]]
    case 'CharacterClass': {
      const ranges = joined((node.elements as AST.CharacterClassElement[]).flatMap(rangesOf))
      return node.negate ? without(ALL, ranges) : ranges
    }
    case 'CharacterSet':
      return rangesOfSet(node.raw)
    default:
      throw new ConfigError(`a regular expression has ${node.raw}, which needs the flag v: write it without`)
  }
}

const ALL: readonly Range[] = [[0, MAX_CODE_POINT]]

/** Sets by their source. Others are added when they are used: there are few. */
const knownSets = new Map<string, readonly Range[]>([
  [
    '.',
    without(
      ALL,
      [...'\n\r\u2028\u2029'].map(end => [end.charCodeAt(0), end.charCodeAt(0)]),
    ),
  ],
  ['\\d', [[0x30, 0x39]]],
  [
    '\\w',
    [
      [0x30, 0x39],
      [0x41, 0x5a],
      [0x5f, 0x5f],
      [0x61, 0x7a],
    ],
  ],
])

/** The code points that JavaScript's RegExp matches with a set: `.`, `\w`, `\p{Letter}`. */
function rangesOfSet(source: string): readonly Range[] {
  let ranges = knownSets.get(source)
  if (ranges === undefined) {
    // Surrogates are left out of the text: UTF-8 has none.
    ranges = [...allCharacters().matchAll(new RegExp(`${source}+`, 'gu'))].map(({ 0: { length }, index }) => [
      codePointAt(index),
      codePointAt(index + length) - 1,
    ])
    knownSets.set(source, ranges)
  }
  return ranges
}

/** A text of all characters in order. */
function allCharacters(): string {
  const parts: string[] = []
  for (let first = 0; first <= MAX_CODE_POINT; first += 0x800)
    if (first !== 0xd800) parts.push(String.fromCodePoint(...Array.from({ length: 0x800 }, (_, i) => first + i)))
  return parts.join('')
}

/** The code point at an index of the text of all characters; at its end, one more than the last. */
function codePointAt(index: number): number {
  if (index < 0xd800) return index
  const high = index - (0x10000 - 0x800)
  return high < 0 ? index + 0x800 : 0x10000 + high / 2
}
