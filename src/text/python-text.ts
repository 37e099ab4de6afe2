/**
 * Python's string functions where JavaScript's differ, for figures that must equal those of Python libraries. Text is
 * Unicode in both; they differ in what counts as white space, as a word character and as a number.
 */

/**
 * Matches one character of white space as `str.isspace` defines it: unlike JavaScript's \s, with U+001C to U+001F and
 * U+0085, and without U+FEFF.
 */
const SPACE = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]'
const spaces = new RegExp(`${SPACE}+`, 'gu')
const spacesAround = new RegExp(`^${SPACE}+|${SPACE}+$`, 'gu')
const spacesAtEnd = new RegExp(`${SPACE}+$`, 'u')

/**
 * A character class of \w in Python's regular expressions of text: letters and numbers of all scripts, and "_". Needs
 * the flag `u`.
 */
export const PYTHON_WORD = '[\\p{L}\\p{N}_]'

/** `\b(words)\b` of Python's regular expressions, for words joined by "|". */
export const pythonWholeWords = (alternatives: string): RegExp =>
  new RegExp(`(?<!${PYTHON_WORD})(?:${alternatives})(?!${PYTHON_WORD})`, 'gu')

/** `str.split()`: the words between runs of white space. */
export const pythonSplit = (text: string): string[] => text.split(spaces).filter(word => word !== '')

/** `str.strip()`. */
export const pythonStrip = (text: string): string => text.replace(spacesAround, '')

/** `str.rstrip()`. */
export const pythonStripEnd = (text: string): string => text.replace(spacesAtEnd, '')

/** `str.lower()`. Both languages use Unicode's full mapping, with its rules for the final sigma and the dotted I. */
export const pythonLower = (text: string): string => text.toLowerCase()

/** The ASCII punctuation of Python's `string.punctuation`. */
export const ASCII_PUNCTUATION = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'

// Python's float() and int() skip the white space of C and of other scripts, but not U+001C to U+001F.
const NUMBER_SPACE = `(?![\\x1c-\\x1f])${SPACE}`
const spacesAroundNumber = new RegExp(`^(?:${NUMBER_SPACE})+|(?:${NUMBER_SPACE})+$`, 'gu')
const FLOAT = /^[-+]?(?:(?:\d(?:_?\d)*)?\.\d(?:_?\d)*|\d(?:_?\d)*\.?)(?:[eE][-+]?\d(?:_?\d)*)?$/
const NAMED_FLOAT = /^([-+]?)(?:(inf|infinity)|nan)$/i
const INTEGER = /^[-+]?\d(?:_?\d)*$/

/**
 * `float(text)`; undefined where Python raises ValueError. White space around the number, "_" between digits, decimal
 * digits of all scripts, and `nan`, `inf` and `infinity` in any case are accepted; hexadecimal numbers are not.
 */
export function pythonFloat(text: string): number | undefined {
  const plain = asciiDigits(text.replace(spacesAroundNumber, ''))
  const named = NAMED_FLOAT.exec(plain)
  if (named) return named[2] === undefined ? NaN : named[1] === '-' ? -Infinity : Infinity
  return FLOAT.test(plain) ? Number(plain.replaceAll('_', '')) : undefined
}

/** `int(text)`; undefined where Python raises ValueError. Integers beyond 2^53 are rounded. */
export function pythonInt(text: string): number | undefined {
  const plain = asciiDigits(text.replace(spacesAroundNumber, ''))
  return INTEGER.test(plain) ? Number(plain.replaceAll('_', '')) : undefined
}

const decimalDigit = /\p{Nd}/gu
const isDecimalDigit = (code: number): boolean => /\p{Nd}/u.test(String.fromCodePoint(code))

/**
 * Replaces decimal digits of all scripts by 0 to 9. Unicode places a script's ten digits next to each other, from 0.
 */
const asciiDigits = (text: string): string =>
  text.replace(decimalDigit, digit => {
    const code = digit.codePointAt(0)!
    let first = code
    while (isDecimalDigit(first - 1)) first--
    return String((code - first) % 10)
  })
