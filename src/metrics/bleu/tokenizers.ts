import { pythonSplit, pythonStrip } from '../../text/python-text.js'

/** How a text is cut into tokens before n-grams are counted: sacrebleu's tokenizers of these names. */
export type BleuTokenizer = 'intl' | '13a' | 'zh' | 'char' | 'none'

/**
 * The tokenizers of sacrebleu 2.3. `intl`: mteval-v14's international tokenization, which cuts at Unicode punctuation
 * and symbols. `13a`: mteval-v13a's, for Western languages. `zh`: each Chinese character is a token, and the rest is as
 * in `13a`. `char`: each code point is a token. `none`: words between white space.
 */
export const bleuTokenizers: Readonly<Record<BleuTokenizer, (text: string) => string[]>> = {
  intl: text =>
    pythonSplit(
      text
        .replace(/(\P{N})(\p{P})/gu, '$1 $2 ')
        .replace(/(\p{P})(\P{N})/gu, ' $1 $2')
        .replace(/\p{S}/gu, ' $& '),
    ),
  '13a': text => western(` ${unescapeEntities(text)} `),
  zh: text => western(pythonStrip(text).replace(chinese, ' $& ')),
  char: text => Array.from(text).flatMap(character => pythonSplit(character)),
  none: pythonSplit,
}

/** What mteval-v13a does to a text before it is cut into tokens. */
const unescapeEntities = (text: string): string =>
  text
    .replaceAll('<skipped>', '')
    .replaceAll('-\n', '')
    .replaceAll('\n', ' ')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')

/** Cuts at ASCII punctuation, except at periods and commas between digits; and after a digit at a dash. */
const western = (text: string): string[] =>
  pythonSplit(
    text
      .replace(/[{-~[-` -&(-+:-@/]/gu, ' $& ')
      .replace(/([^0-9])([.,])/gu, '$1 $2 ')
      .replace(/([.,])([^0-9])/gu, ' $1 $2')
      .replace(/([0-9])(-)/gu, '$1 $2 '),
  )

/**
 * The characters that sacrebleu takes for Chinese. Two of its ranges are meant to be of five hexadecimal digits, but
 * are read with four: instead of the extension B (U+20000 to U+2A6D6) and the compatibility supplement (U+2F800 to
 * U+2FA1D) they hold U+2001 to U+2A6D and U+2F81 to U+2FA1, with dashes, quotation marks and mathematical symbols.
 */
const chinese = new RegExp(
  `[${[
    '\\u3400-\\u4db5', // CJK unified ideographs, extension A
    '\\u4e00-\\u9fbb', // CJK unified ideographs
    '\\uf900-\\ufa2d\\ufa30-\\ufa6a\\ufa70-\\ufad9', // CJK compatibility ideographs
    '\\u2001-\\u2a6d\\u2f81-\\u2fa1', // see above
    '\\uff00-\\uffef', // full-width and half-width forms
    '\\u2e80-\\u2eff\\u2f00-\\u2fdf\\u2ff0-\\u2fff', // radicals, description characters
    '\\u3000-\\u303f\\u31c0-\\u31ef', // punctuation, strokes
    '\\u3100-\\u312f\\u31a0-\\u31bf', // phonetic symbols
    '\\ufe10-\\ufe1f\\ufe30-\\ufe4f', // vertical and compatibility forms
    '\\u2600-\\u27bf', // miscellaneous symbols, dingbats
    '\\u3200-\\u33ff', // enclosed and compatibility forms
  ].join('')}]`,
  'gu',
)
