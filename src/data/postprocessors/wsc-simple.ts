import { pythonLower, pythonStrip } from '../../text/python-text.js'
import { fieldOf } from './fields.js'
import type { Postprocessor } from './postprocessor.js'

// prettier-ignore
const determiners: ReadonlySet<string> = new Set([
  'a', 'an', 'few', 'her', 'his', 'each', 'every', 'many', 'much', 'my', 'our', 'some', 'that', 'the', 'their', 'these',
  'this', 'those', 'which', 'whose', 'your',
])

/** The words of a text in lower case, without determiners. Two spaces in a row have an empty word between them. */
const contentWords = (text: string): string[] =>
  pythonLower(pythonStrip(text))
    .split(' ')
    .filter(word => !determiners.has(word))

/**
 * For the Winograd schema challenge as `wscSimple` presents it. A target is the example's `label`. A prediction is 1 if
 * it names the referent (the field `targets_pretokenized`): if all words of one, determiners aside, occur in the other,
 * and both or neither have an apostrophe. Otherwise it is 0; without words it is -1.
 */
export const wscSimple =
  (): Postprocessor =>
  (text, { example, isTarget }) => {
    if (isTarget) return fieldOf(example, 'label')
    const predicted = contentWords(text)
    if (predicted.join(' ') === '') return -1
    const referent = contentWords(String(fieldOf(example, 'targets_pretokenized')))
    const [inPrediction, inReferent] = [predicted, referent].map(words => words.some(word => word.includes("'")))
    if (inPrediction !== inReferent) return 0
    // A referent without words is one empty word, which no prediction has.
    const [a, b] = [predicted, referent.length > 0 ? referent : ['']]
    const isPart = (some: readonly string[], all: readonly string[]): boolean => some.every(word => all.includes(word))
    return Number(isPart(a, b) || isPart(b, a))
  }
