import type { Grammar } from './grammar.js'
import { without } from './utf8.js'
import type { Range } from './utf8.js'

/** Adds texts to a grammar, from a node on, and returns the node after them. */
export type Build = (from: number) => number

/** The characters of a string of JSON that are not written as escapes. */
const PLAIN: readonly Range[] = [
  [0x20, 0x21],
  [0x23, 0x5b],
  [0x5d, 0x10ffff],
]
const ESCAPES: { readonly [character: string]: string } = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

/** A string of JSON with the content that `inner` adds. */
export const quoted =
  (grammar: Grammar, inner: Build): Build =>
  from =>
    grammar.text(inner(grammar.text(from, '"')), '"')

/** A character of these code points inside a string of JSON, escaped where JSON asks for it. */
export function stringCharacter(grammar: Grammar, from: number, ranges: readonly Range[]): number {
  const plain = without(ranges, without([[0, 0x10ffff]], PLAIN))
  const escaped = without(ranges, PLAIN).flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, i) => escapeOf(first + i)),
  )
  return grammar.either(from, [
    ...(plain.length > 0 ? [(at: number) => grammar.character(at, plain)] : []),
    ...escaped.map(text => (at: number) => grammar.text(at, text)),
  ])
}

function escapeOf(codePoint: number): string {
  const character = String.fromCodePoint(codePoint)
  return ESCAPES[character] ?? `\\u${codePoint.toString(16).padStart(4, '0')}`
}

/** A text, such as a comma or a name and its colon, with or without a space after it. */
export const spaced = (grammar: Grammar, from: number, text: string): number =>
  grammar.repeat(grammar.text(from, text), 0, 1, at => grammar.text(at, ' '))

/** From `min` to `max` times a text, with commas between. */
export function separated(grammar: Grammar, from: number, min: number, max: number, build: Build): number {
  const next: Build = at => build(spaced(grammar, at, ','))
  const some: Build = at => grammar.repeat(build(at), Math.max(0, min - 1), max - 1, next)
  if (max === 0) return from
  return min > 0 ? some(from) : grammar.either(from, [at => at, some])
}
