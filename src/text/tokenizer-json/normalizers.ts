import { ConfigError } from '../../base/errors.js'
import { fromBase64 } from '../base64.js'
import { Charsmap } from '../charsmap.js'
import { wellFormed } from '../stream.js'
import { WHITE_SPACE } from './added-tokens.js'
import { describeStep, patternOf, unsupported } from './steps.js'
import type { Step } from './steps.js'

export type Normalize = (text: string) => string

const form = (name: 'NFC' | 'NFD' | 'NFKC' | 'NFKD') => (): Normalize => text => text.normalize(name)

const withoutAccents: Normalize = text => text.replace(/\p{Mn}/gu, '')
const leading = new RegExp(`^${WHITE_SPACE}+`, 'u')
const trailing = new RegExp(`${WHITE_SPACE}+$`, 'u')

/** The normalizers of a tokenizer.json by their types. */
const normalizers: Record<string, (step: Step) => Normalize> = {
  Sequence: ({ normalizers: steps = [] }) => {
    const all = (steps as (Step | null)[]).map(normalizerOf)
    return text => all.reduce((value, normalize) => normalize(value), text)
  },
  Precompiled: ({ precompiled_charsmap: map }) => precompiled(map),
  Strip: ({ strip_left = true, strip_right = true }) => {
    return text => {
      const start = strip_left === true ? text.replace(leading, '') : text
      return strip_right === true ? start.replace(trailing, '') : start
    }
  },
  Replace: step => {
    const pattern = patternOf(step, 'normalizer')
    const content = String(step.content)
    return text => text.replace(pattern, () => content)
  },
  Lowercase: () => text => Array.from(text, character => character.toLowerCase()).join(''),
  NFC: form('NFC'),
  NFD: form('NFD'),
  NFKC: form('NFKC'),
  NFKD: form('NFKD'),
  StripAccents: () => withoutAccents,
  Prepend: ({ prepend }) => {
    return text => (text === '' ? '' : String(prepend) + text)
  },
}

/** The function of a tokenizer.json's normalizer. Throws a ConfigError that names a step that is not supported. */
export function normalizerOf(step: Step | null | undefined): Normalize {
  if (step === null || step === undefined) return text => text
  if (!Object.hasOwn(normalizers, step.type)) throw unsupported('normalizer', step)
  return normalizers[step.type](step)
}

/**
 * SentencePiece's character map as the tokenizers library applies it: a grapheme of at most 5 bytes is looked up as a
 * whole, then each character by itself; the shortest key at its start replaces all of it.
 */
function precompiled(map: unknown): Normalize {
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
