/**
 * The Porter stemmer (M. F. Porter, "An algorithm for suffix stripping", 1980) with the extensions of NLTK, which
 * `rouge_score` uses: irregular forms, and changes to the steps 1 and 2.
 *
 * `word` is of lower-case ASCII letters and digits. Digits count as consonants.
 */
export function porterStem(word: string): string {
  const irregular = irregularForms.get(word)
  if (irregular !== undefined) return irregular
  if (word.length <= 2) return word
  return [plural, pastAndProgressive, finalY, longSuffix, mediumSuffix, lastSuffix, finalE, finalDoubleL].reduce(
    (stem, step) => step(stem),
    word,
  )
}

// prettier-ignore
const irregularForms: ReadonlyMap<string, string> = new Map([
  ['sky', 'sky'], ['skies', 'sky'], ['dying', 'die'], ['lying', 'lie'], ['tying', 'tie'], ['news', 'news'],
  ['innings', 'inning'], ['inning', 'inning'], ['outings', 'outing'], ['outing', 'outing'], ['cannings', 'canning'],
  ['canning', 'canning'], ['howe', 'howe'], ['proceed', 'proceed'], ['exceed', 'exceed'], ['succeed', 'succeed'],
])

/** Letters other than a, e, i, o, u are consonants; y only at the beginning or after a vowel. */
function isConsonant(word: string, i: number): boolean {
  if ('aeiou'.includes(word[i])) return false
  return word[i] !== 'y' || i === 0 || !isConsonant(word, i - 1)
}

/** m of [C](VC){m}[V]: how often a consonant follows a vowel. */
function measure(stem: string): number {
  let m = 0
  for (let i = 1; i < stem.length; i++) if (isConsonant(stem, i) && !isConsonant(stem, i - 1)) m++
  return m
}

const hasVowel = (stem: string): boolean => Array.from(stem).some((_, i) => !isConsonant(stem, i))

const endsInDoubleConsonant = (word: string): boolean =>
  word.length >= 2 && word.at(-1) === word.at(-2) && isConsonant(word, word.length - 1)

/** *o: ends in consonant, vowel, consonant other than w, x, y. NLTK: or is a vowel and a consonant. */
function endsInShortSyllable(word: string): boolean {
  const n = word.length
  if (n === 2) return !isConsonant(word, 0) && isConsonant(word, 1)
  return (
    n > 2 &&
    isConsonant(word, n - 3) &&
    !isConsonant(word, n - 2) &&
    isConsonant(word, n - 1) &&
    !'wxy'.includes(word[n - 1])
  )
}

/** A suffix, its replacement, and a condition on the stem before it. */
type Rule = readonly [suffix: string, replacement: string, condition?: (stem: string) => boolean]

/** Applies the first rule whose suffix the word has. If its condition does not hold, the word stays as it is. */
function applyFirst(word: string, rules: readonly Rule[]): string {
  const rule = rules.find(([suffix]) => word.endsWith(suffix))
  if (rule === undefined) return word
  const [suffix, replacement, condition] = rule
  const stem = word.slice(0, word.length - suffix.length)
  return condition === undefined || condition(stem) ? stem + replacement : word
}

/** Step 1a. NLTK: "dies" becomes "die", not "di". */
const plural = (word: string): string =>
  word.length === 4 && word.endsWith('ies')
    ? word.slice(0, -1)
    : applyFirst(word, [
        ['sses', 'ss'],
        ['ies', 'i'],
        ['ss', 'ss'],
        ['s', ''],
      ])

/** Step 1b. NLTK: "died" becomes "die", and "spied" becomes "spi". */
function pastAndProgressive(word: string): string {
  if (word.endsWith('ied')) return word.slice(0, word.length === 4 ? -1 : -2)
  if (word.endsWith('eed')) return measure(word.slice(0, -3)) > 0 ? word.slice(0, -1) : word
  const suffix = ['ed', 'ing'].find(ending => word.endsWith(ending) && hasVowel(word.slice(0, -ending.length)))
  if (suffix === undefined) return word
  const stem = word.slice(0, -suffix.length)
  if (['at', 'bl', 'iz'].some(ending => stem.endsWith(ending))) return `${stem}e`
  if (endsInDoubleConsonant(stem)) return 'lsz'.includes(stem.at(-1)!) ? stem : stem.slice(0, -1)
  return measure(stem) === 1 && endsInShortSyllable(stem) ? `${stem}e` : stem
}

/** Step 1c. NLTK: only after a consonant that is not the first letter. */
const finalY = (word: string): string =>
  applyFirst(word, [['y', 'i', stem => stem.length > 1 && isConsonant(stem, stem.length - 1)]])

const positive = (stem: string): boolean => measure(stem) > 0
const overOne = (stem: string): boolean => measure(stem) > 1

// prettier-ignore
const longSuffixes: readonly Rule[] = [
  ['ational', 'ate', positive], ['tional', 'tion', positive], ['enci', 'ence', positive], ['anci', 'ance', positive],
  ['izer', 'ize', positive], ['bli', 'ble', positive], ['alli', 'al', positive], ['entli', 'ent', positive],
  ['eli', 'e', positive], ['ousli', 'ous', positive], ['ization', 'ize', positive], ['ation', 'ate', positive],
  ['ator', 'ate', positive], ['alism', 'al', positive], ['iveness', 'ive', positive], ['fulness', 'ful', positive],
  ['ousness', 'ous', positive], ['aliti', 'al', positive], ['iviti', 'ive', positive], ['biliti', 'ble', positive],
  // NLTK's; the l of "logi" belongs to the stem, so that "geologi" has a measure of over 0.
  ['fulli', 'ful', positive], ['logi', 'log', stem => positive(`${stem}l`)],
]

/** Step 2. NLTK: after "alli" became "al", the step is applied again. */
const longSuffix = (word: string): string =>
  word.endsWith('alli') && positive(word.slice(0, -4)) ? longSuffix(word.slice(0, -2)) : applyFirst(word, longSuffixes)

/** Step 3. */
// prettier-ignore
const mediumSuffix = (word: string): string =>
  applyFirst(word, [
    ['icate', 'ic', positive], ['ative', '', positive], ['alize', 'al', positive], ['iciti', 'ic', positive],
    ['ical', 'ic', positive], ['ful', '', positive], ['ness', '', positive],
  ])

/** Step 4. */
// prettier-ignore
const lastSuffix = (word: string): string =>
  applyFirst(word, [
    ['al', '', overOne], ['ance', '', overOne], ['ence', '', overOne], ['er', '', overOne], ['ic', '', overOne],
    ['able', '', overOne], ['ible', '', overOne], ['ant', '', overOne], ['ement', '', overOne], ['ment', '', overOne],
    ['ent', '', overOne], ['ion', '', stem => overOne(stem) && /[st]$/.test(stem)], ['ou', '', overOne],
    ['ism', '', overOne], ['ate', '', overOne], ['iti', '', overOne], ['ous', '', overOne], ['ive', '', overOne],
    ['ize', '', overOne],
  ])

/** Step 5a. */
const finalE = (word: string): string =>
  applyFirst(word, [['e', '', stem => overOne(stem) || (measure(stem) === 1 && !endsInShortSyllable(stem))]])

/** Step 5b. */
const finalDoubleL = (word: string): string =>
  word.endsWith('ll') && overOne(word.slice(0, -1)) ? word.slice(0, -1) : word
