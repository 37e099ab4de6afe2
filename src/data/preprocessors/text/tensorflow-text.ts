/**
 * TensorFlow's string operations, which T5's text preprocessors are made of. They know ASCII only: a letter with an
 * accent is no word character, and is never lower-cased.
 */

/** The white space of RE2's \s: tab, line feed, form feed, carriage return, space. */
const whiteSpace = /[\t\n\f\r ]+/g
const punctuation = /[!-/:-@[-`{-~]/g

/** Each run of white space as one space, at the ends too. */
export const collapseSpaces = (text: string): string => text.replace(whiteSpace, ' ')

/** A space on both sides of each ASCII punctuation mark, then `collapseSpaces`: T5's `_pad_punctuation`. */
export const padPunctuation = (text: string): string => collapseSpaces(text.replace(punctuation, ' $& '))

/** The texts with spaces between them, then `collapseSpaces`: T5's `_string_join`. */
export const joinCollapsed = (...texts: readonly string[]): string => collapseSpaces(texts.join(' '))

/** `tf.strings.lower` without an encoding: A to Z only. */
export const lowerAscii = (text: string): string => text.replace(/[A-Z]+/g, letters => letters.toLowerCase())

/** `tf.strings.split` without a separator: the words between ASCII white space (with the vertical tab). */
export const asciiWords = (text: string): string[] => text.match(/[^\t-\r ]+/g) ?? []

/** `tf.strings.strip`: without ASCII white space at the ends. */
export const stripAscii = (text: string): string => text.replace(/^[\t-\r ]+|[\t-\r ]+$/g, '')

/**
 * The words of SQuAD's spans: each character other than A to Z, a to z, 0 to 9 and _ is a space, and each space
 * separates two words, which may be empty.
 */
export const spaceSeparatedWords = (text: string): string[] => text.replace(/[^0-9A-Za-z_]/gu, ' ').split(' ')

/** `tf.strings.length`: the length in bytes of UTF-8. */
export const byteLength = (text: string): number => Buffer.byteLength(text)
