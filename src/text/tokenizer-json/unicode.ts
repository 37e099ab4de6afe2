/**
 * Classes of characters as the tokenizers library (Rust, 0.23) has them, each the inside of a character class for the
 * flags `u` or `v`. Two of its tables are older than Unicode 9: later characters are not in them.
 */

/** Unicode's White_Space: without U+FEFF, which JavaScript's `\s` includes, and with U+0085. */
export const WHITE_SPACE = '\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'

/** `\w` of the library's own patterns. */
export const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d'

/** A character class without the code points of a list, which has hexadecimal ranges `a` or `a-b`. */
const without = (base: string, later: string, more = ''): string => {
  const ranges = later.split(' ').map(range => range.replace(/[0-9a-f]+/gu, '\\u{$&}'))
  return `[${more}[${base}--[${ranges.join('')}]]]`
}

/** Punctuation of ASCII and of Unicode. */
export const PUNCTUATION = without(
  '[!-\\/:-@\\[-`\\{-~\\p{P}]',
  '61d 9fd-a76 c77-c84 1b4e-1b4f 1b7d-1b7f 2e43-2e5d 10d6e-10f89 113d4-1145d 11660-116b9 1183b-11fff 12ff1-12ff2 16d6d-16fe2 1e5ff-1e95f',
  '\\u166d\\u{111c9}',
)

/** Nonspacing marks, as BertNormalizer removes them. */
export const NONSPACING_MARK = without(
  '\\p{Mn}',
  '7fd 897-8e1 9fe afa-aff b55 c04-c3c d00 d3b-d3c d81 eba ece 180f-1886 1abf-1aeb 1df6-1dfb a82c a8c5 a8ff a9bd 10d24-10f85 11070-11074 110c2 111c9 111cf 1123e-11241 1133b 113bb-1145e 1182f-11f5a 13440-13455 1611e-1612f 16f4f 16fe4 1cf00-1cf46 1e000-1e6f5 1e944-1e94a',
  '\\u1734\\u{1171e}',
)

/** All marks, as StripAccents removes them. */
export const MARK = without(
  '\\p{M}',
  '7fd 897-8d3 9fe afa-aff b55 c04-c3c cf3-d00 d3b-d3c d81 eba ece 1715 180f 1abf-1aeb 1cf7 1df6-1dfa a82c a8ff 10d24-10f85 11070-11074 110c2 11145-11146 111c9 111ce-111cf 11241 1133b 113b8-113e2 1145e 1182c-11b67 11d31-11f5a 13440-13455 1611e-1612f 16f4f 16f7f-16f87 16fe4-16ff1 1cf00-1cf46 1e08f-1e6f5',
  '\\u1cf2\\u1cf3',
)

/** Control, format and private characters. */
export const CONTROL = without('[\\p{Cc}\\p{Cf}\\p{Co}]', '890-8e2 110cd 13430-1343f')
