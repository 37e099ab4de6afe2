import { formatCount, formatTable } from '../../base/format.js'
import { norm } from '../../base/similarity.js'
import { escapeControls } from '../shared/texts.js'

/** A text with its vector. */
export interface Embedded {
  readonly text: string
  readonly vector: Float32Array
}

/** The digits after which a decimal number is read back as the same float32. */
const FLOAT32_DIGITS = 9

/** A vector as numbers of JSON, without the digits that only its 64 bits would add. */
const numbers = (vector: Float32Array): number[] => Array.from(vector, x => Number(x.toPrecision(FLOAT32_DIGITS)))

/** A JSON array of numbers. */
export const numbersLine = ({ vector }: Embedded): string => JSON.stringify(numbers(vector))

/** A JSON object of a text and its vector. */
export const jsonLine = ({ text, vector }: Embedded): string => JSON.stringify({ text, vector: numbers(vector) })

/** How many numbers of a vector are shown to a person. */
const SHOWN = 4

/** A line for a person: the text, the size and length of its vector, and the vector's first numbers. */
export function shortLine({ text, vector }: Embedded): string {
  const first = Array.from(vector.subarray(0, SHOWN), x => x.toFixed(4)).join(', ')
  const more = vector.length > SHOWN ? ', ...' : ''
  return `${escapeControls(text)}\t${formatCount(vector.length)} numbers of length ${norm(vector).toFixed(4)}: ${first}${more}`
}

/** A table with a row and a column for each text; as JSON a line for each text. */
export function similarityLines(
  items: readonly Embedded[],
  measure: (a: Float32Array, b: Float32Array) => number,
  json: boolean,
): string {
  const rows = items.map(({ text, vector }) => ({
    text,
    similarities: items.map(other => measure(vector, other.vector)),
  }))
  if (json) return rows.map(row => JSON.stringify(row)).join('\n')
  return formatTable([
    ['', ...items.map((_, i) => String(i + 1)), ''],
    ...rows.map(({ text, similarities }, i) => [
      String(i + 1),
      ...similarities.map(x => x.toFixed(4)),
      escapeControls(text),
    ]),
  ])
}
