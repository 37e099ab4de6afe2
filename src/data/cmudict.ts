import type { Example } from './example.js'

/** All characters of the spellings. */
export const LETTERS = "'abcdefghijklmnopqrstuvwxyz".split('')

/** The phonemes of CMUdict (ARPAbet), without stress. */
export const PHONEMES =
  'AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH'.split(' ')

/**
 * Words of letters, with apostrophes inside only: 124,095 of them. It excludes compounds with hyphens, abbreviations
 * with dots ("a.m."), clipped words ("'cause") and plural possessives ("actors'"), which sound like their plural.
 */
const PLAIN_WORD = /^[a-z]+(?:'[a-z]+)*$/

/** The key of another pronunciation of a word: "tomato(2)". */
const ALTERNATE = /^(.+)\(\d+\)$/

/**
 * The plain words of the CMU Pronouncing Dictionary, in its order. Other pronunciations are alternatives of their word.
 * The first call imports the data (5 MB of JavaScript).
 */
export async function loadCmudict(): Promise<Example[]> {
  const { dictionary } = await import('cmu-pronouncing-dictionary')
  return examplesFromDictionary(dictionary)
}

/** The examples of any dictionary in the form of the package cmu-pronouncing-dictionary. */
export function examplesFromDictionary(dictionary: Readonly<Record<string, string>>): Example[] {
  const words = new Map<string, { input: string; target: string; alternatives: string[] }>()
  const alternates: [word: string, phonemes: string][] = []
  for (const [key, entry] of Object.entries(dictionary)) {
    const word = ALTERNATE.exec(key)?.[1]
    if (word !== undefined) alternates.push([word, phonemesOf(entry)])
    else if (PLAIN_WORD.test(key)) words.set(key, { input: key, target: phonemesOf(entry), alternatives: [] })
  }
  // After the loop, because a word may come after its alternate pronunciations. Without stress, some alternates equal
  // the first.
  for (const [word, phonemes] of alternates) {
    const known = words.get(word)
    if (known && phonemes !== known.target && !known.alternatives.includes(phonemes)) known.alternatives.push(phonemes)
  }
  return [...words.values()]
}

/** "AA1 B ER0 G # place, danish" -> "AA B ER G". */
const phonemesOf = (entry: string): string => entry.replace(/#.*$/, '').replace(/\d/g, '').trim()
