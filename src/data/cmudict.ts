import type { Example } from './source.js'

/** What a plain word is spelled with. */
export const LETTERS = "'abcdefghijklmnopqrstuvwxyz".split('')

/** The phonemes of CMUdict (ARPAbet), without stress. */
export const PHONEMES =
  'AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH'.split(' ')

/**
 * Letters, with apostrophes inside only: 124,095 words. Left out are hyphened compounds, abbreviations with dots ("a.m."),
 * clipped words ("'cause") and plural possessives ("actors'"), which sound like the plural that is there already.
 */
const PLAIN_WORD = /^[a-z]+(?:'[a-z]+)*$/

/** Keys of further pronunciations: "tomato(2)". */
const ALTERNATE = /^(.+)\(\d+\)$/

/**
 * The plain words of the CMU Pronouncing Dictionary, in its order. Further pronunciations are alternatives of their word.
 * The data (5 MB of JavaScript) is imported on the first call.
 */
export async function loadCmudict(): Promise<Example[]> {
  const { dictionary } = await import('cmu-pronouncing-dictionary')
  return examplesFromDictionary(dictionary)
}

/** As `loadCmudict`, from any dictionary in that form. */
export function examplesFromDictionary(dictionary: Readonly<Record<string, string>>): Example[] {
  const words = new Map<string, { input: string; target: string; alternatives: string[] }>()
  const alternates: [word: string, phonemes: string][] = []
  for (const [key, entry] of Object.entries(dictionary)) {
    const word = ALTERNATE.exec(key)?.[1]
    if (word !== undefined) alternates.push([word, phonemesOf(entry)])
    else if (PLAIN_WORD.test(key)) words.set(key, { input: key, target: phonemesOf(entry), alternatives: [] })
  }
  // Last, so that they find their word wherever it stands. Without stress some are no different from it.
  for (const [word, phonemes] of alternates) {
    const known = words.get(word)
    if (known && phonemes !== known.target && !known.alternatives.includes(phonemes)) known.alternatives.push(phonemes)
  }
  return [...words.values()]
}

/** "AA1 B ER0 G # place, danish" -> "AA B ER G". */
const phonemesOf = (entry: string): string => entry.replace(/#.*$/, '').replace(/\d/g, '').trim()
