import { ConfigError } from '../../base/errors.js'
import { fromBase64 } from '../base64.js'
import { Charsmap } from '../charsmap.js'
import { wellFormed } from '../stream.js'
import { byteLevel } from './byte-level.js'
import { matcherOf } from './patterns.js'
import { checkGrowth, describeStep, flatSteps, textIn, unsupported } from './steps.js'
import type { Step } from './steps.js'
import { CONTROL, MARK, NONSPACING_MARK, WHITE_SPACE } from './unicode.js'

/**
 * A part of a text. `head` is how many of its UTF-16 units, from the first on, were made of the first character of the
 * whole text: Metaspace's prepend_scheme "first" asks for it.
 */
export interface Part {
  readonly text: string
  readonly head: number
}
export type Normalize = (part: Part) => Part

/** Whole texts, and parts that begin where the whole text does, begin with its first character. */
export const startOfText = (text: string): Part => ({
  text,
  head: text === '' ? 0 : Array.from(text.slice(0, 2))[0].length,
})

/** A normalizer that treats each character by itself, or nearly. */
const mapped =
  (map: (text: string) => string): Normalize =>
  ({ text, head }) => {
    const result = map(text)
    return { text: result, head: head === 0 ? 0 : Math.min(result.length, map(text.slice(0, head)).length) }
  }

const form = (name: 'NFC' | 'NFD' | 'NFKC' | 'NFKD') => (): Normalize => mapped(text => text.normalize(name))

/** Lowercases each character by itself, without the rules for a word's end. */
const lowercase = (text: string): string => Array.from(text, character => character.toLowerCase()).join('')

const marks = new RegExp(MARK, 'gv')
const nonspacingMarks = new RegExp(NONSPACING_MARK, 'gv')
const isSpace = new RegExp(`[${WHITE_SPACE}]`, 'u')
const bertRemoved = new RegExp(`[\\0\\ufffd]|(?![\\t\\n\\r])${CONTROL}`, 'gv')
const whiteSpace = new RegExp(`[${WHITE_SPACE}]`, 'gu')
const chinese =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu
// oxlint-disable-next-line no-control-regex
const nmtRemoved = /[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]/gu
const nmtSpaces = /[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/gu

/** The normalizers of a tokenizer.json by their types. */
const normalizers: Record<string, (step: Step) => Normalize> = {
  Precompiled: ({ precompiled_charsmap: map }) => mapped(precompiled(map)),
  Strip: ({ strip_left = true, strip_right = true }) => {
    return ({ text, head }) => {
      let from = 0
      let to = text.length
      if (strip_left === true) while (from < to && isSpace.test(text[from])) from++
      if (strip_right === true) while (to > from && isSpace.test(text[to - 1])) to--
      return slice({ text, head }, from, to)
    }
  },
  Replace: step => {
    const matches = matcherOf(step, 'normalizer')
    const content = textIn(step, 'content', 'normalizer')
    return ({ text, head }) => {
      let result = ''
      let newHead = 0
      let last = 0
      const keep = (to: number): void => {
        newHead += Math.max(0, Math.min(head, to) - last)
        result += text.slice(last, to)
      }
      for (const [from, to] of matches(text)) {
        keep(from)
        result += content
        // What is inserted counts as made of the character before it.
        if (to === 0 || to <= head) newHead += content.length
        last = to
      }
      keep(text.length)
      return { text: result, head: newHead }
    }
  },
  Lowercase: () => mapped(lowercase),
  NFC: form('NFC'),
  NFD: form('NFD'),
  NFKC: form('NFKC'),
  NFKD: form('NFKD'),
  Nmt: () => mapped(text => text.replace(nmtRemoved, '').replace(nmtSpaces, ' ')),
  StripAccents: () => mapped(text => text.replace(marks, '')),
  BertNormalizer: step => {
    const { clean_text = true, handle_chinese_chars = true, lowercase: lowers = true, strip_accents } = step
    const strips = strip_accents ?? lowers
    return mapped(text => {
      let result = text
      if (clean_text === true) result = result.replace(bertRemoved, '').replace(whiteSpace, ' ')
      if (handle_chinese_chars === true) result = result.replace(chinese, ' $& ')
      if (strips === true) result = result.normalize('NFD').replace(nonspacingMarks, '')
      return lowers === true ? lowercase(result) : result
    })
  },
  ByteLevel: () => mapped(byteLevel),
  Prepend: step => {
    const before = textIn(step, 'prepend', 'normalizer')
    return part => (part.text === '' ? part : prepend(part, before))
  },
}

/** The function of a tokenizer.json's normalizer. Throws a ConfigError that names a step that is not supported. */
export function normalizerOf(step: Step | null | undefined): Normalize {
  if (step === null || step === undefined) return part => part
  const all = flatSteps(step, 'normalizers', 'normalizer').map(each => {
    if (!Object.hasOwn(normalizers, each.type)) throw unsupported('normalizer', each)
    return normalizers[each.type](each)
  })
  return part =>
    all.reduce((value, normalize) => {
      const result = normalize(value)
      checkGrowth('normalizer', part.text.length, result.text.length)
      return result
    }, part)
}

/** What is put before a part counts as made of its first character. */
export const prepend = ({ text, head }: Part, before: string): Part => ({
  text: before + text,
  head: head === 0 ? 0 : before.length + head,
})

export const slice = ({ text, head }: Part, from: number, to: number): Part => ({
  text: text.slice(from, to),
  head: Math.max(0, Math.min(head, to) - from),
})

/**
 * SentencePiece's character map as the tokenizers library applies it: a grapheme of at most 5 bytes is looked up as a
 * whole, then each character by itself; the shortest key at its start replaces all of it.
 */
function precompiled(map: unknown): (text: string) => string {
  if (map === null || map === undefined || map === '') return text => text
  if (typeof map !== 'string') throw new ConfigError(`${describeStep({ type: 'Precompiled' })}: its map is not a text`)
  const charsmap = new Charsmap(fromBase64(map, 'the precompiled_charsmap of the tokenizer.json'))
  const utf8 = new TextEncoder()
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  const replacementOf = (text: string): string | undefined => {
    const found = charsmap.shortest(utf8.encode(text))
    return found && decoder.decode(found)
  }
  const cache = new Map<string, string>()
  const character = (text: string): string => {
    const known = cache.get(text)
    if (known !== undefined) return known
    const result = replacementOf(text) ?? text
    if (cache.size < MAX_CACHED) cache.set(text, result)
    return result
  }
  const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })
  return text => {
    // Graphemes of several characters have at least one beyond ASCII, or are a carriage return and a line feed.
    // oxlint-disable-next-line no-control-regex
    if (/^[\0-\x0c\x0e-\x7f]*$/u.test(text)) return Array.from(text, character).join('')
    let result = ''
    for (const { segment } of graphemes.segment(wellFormed(text))) {
      const whole = utf8.encode(segment).length < 6 ? replacementOf(segment) : undefined
      result += whole ?? Array.from(segment, character).join('')
    }
    return result
  }
}

const MAX_CACHED = 10_000
