import { ConfigError, FileError } from '../../base/errors.js'
import { didYouMean } from '../../base/suggest.js'
import type { Fields } from '../preprocessor.js'
import { isPathTo } from './nested.js'
import { isIdName, proposeColumns, usualAmong } from './propose.js'

/** Usual names of the column to answer, and of the column to learn. */
// prettier-ignore
const inputNames = [
  'input', 'inputs', 'text', 'texts', 'sentence', 'source', 'src', 'question', 'prompt', 'document', 'article', 'review', 'message', 'utterance',
  'word', 'words', 'tokens', 'query', 'instruction', 'content', 'body', 'tweet', 'comment', 'headline', 'original', 'spelling', 'context',
]
// prettier-ignore
const targetNames = [
  'target', 'targets', 'label', 'labels', 'output', 'outputs', 'tgt', 'answer', 'summary', 'completion', 'response', 'category', 'class', 'sentiment',
  'intent', 'tag', 'tags', 'pos', 'pronunciation', 'phonemes', 'translation', 'normalized', 'topic', 'polarity',
]

/** The columns of a task of pairs. */
export interface PairColumns {
  readonly input: string
  readonly target: string
}

/** The first rows of a file, which are read only if a question about its columns is asked. */
export type FirstRows = () => Promise<readonly Fields[]>

/**
 * Chooses the columns of the input and the target. Columns that are given are taken, by name or by number from 1.
 * Otherwise usual names decide (text and label, in any order; of a path such as `qa.question`, its last name), and of
 * two columns the first is the input. Throws a
 * ConfigError that lists the columns, and proposes some, if the choice is not clear.
 */
export async function chooseColumns(
  file: string,
  columns: readonly string[],
  given: { readonly input: string | null; readonly target: string | null },
  firstRows: FirstRows = () => Promise.resolve([]),
): Promise<PairColumns> {
  const input = given.input === null ? undefined : findColumn(file, columns, given.input)
  const target = given.target === null ? undefined : findColumn(file, columns, given.target)
  const rest = columns.filter(column => column !== input && column !== target)
  const chosenInput = input ?? only(rest, inputNames) ?? (rest.length === 1 ? rest[0] : undefined)
  const chosenTarget = target ?? only(rest, targetNames) ?? (rest.length === 1 ? rest[0] : undefined)
  if (input === undefined && target === undefined && columns.length === 2 && !columns.some(isIdName)) {
    const [first, second] = columns
    return chosenInput === second || chosenTarget === first
      ? { input: second, target: first }
      : { input: first, target: second }
  }
  if (columns.length < 2 && input === target)
    throw new FileError(
      `${file}: has one column; expected lines of two, input TAB target, or a CSV, JSON Lines or Parquet file with a column for each`,
    )
  if (chosenInput === undefined || chosenTarget === undefined || chosenInput === chosenTarget)
    throw new ConfigError(
      `${file}: has the columns ${listed(columns)}: ${question(columns, input, target, await firstRows())}`,
    )
  return { input: chosenInput, target: chosenTarget }
}

/** What the user has to say, if only one of the columns is given, or none of them. */
function question(
  columns: readonly string[],
  input: string | undefined,
  target: string | undefined,
  rows: readonly Fields[],
): string {
  if (input !== undefined && input === target) return `"${input}" cannot be both the input and the target`
  const wanted = (['input', 'target'] as const).filter(side => (side === 'input' ? input : target) === undefined)
  const rest = columns.filter(column => column !== input && column !== target)
  const { columns: proposed, reasons } = proposeColumns(rest, rows, wanted, { input: inputNames, target: targetNames })
  const which = wanted.map(side => (side === 'input' ? 'which to answer' : 'which to learn')).join(' and ')
  const besides =
    wanted.length === 2 ? '' : ` besides ${input === undefined ? `--target ${target}` : `--input ${input}`}`
  const options = wanted.map((side, i) => `--${side} ${shellName(proposed[i])}`).join(' ')
  const settings = wanted.map(side => `task.${side}`).join(', ')
  return `say ${which}${besides}, as in ${options} (${settings})${because(reasons)}`
}

const because = (reasons: readonly string[]): string => (reasons.length === 0 ? '' : `. ${reasons.join('; ')}`)

/**
 * A name with spaces is quoted, so that the proposed option can be copied. COLUMN stands for a name that is not known.
 */
const shellName = (column = 'COLUMN'): string => (/^[\w.:-]+$/.test(column) ? column : JSON.stringify(column))

/**
 * Chooses the column of the input alone, as `chooseColumns` would: the given one, the one with a usual name, or of two
 * columns the first that is no target. Throws a ConfigError that lists the columns if the choice is not clear.
 */
export async function chooseInput(
  file: string,
  columns: readonly string[],
  given: string | null,
  firstRows: FirstRows = () => Promise.resolve([]),
): Promise<string> {
  if (given !== null) return findColumn(file, columns, given)
  const texts = columns.filter(column => !isIdName(column))
  const targets = usualAmong(columns, targetNames)
  const rest = texts.filter(column => !targets.includes(column))
  const chosen = only(columns, inputNames) ?? (columns.length <= 2 ? (rest[0] ?? texts[0] ?? columns[0]) : undefined)
  if (chosen !== undefined) return chosen
  const proposal = proposeColumns(columns, await firstRows(), ['input'], { input: inputNames, target: targetNames })
  throw new ConfigError(
    `${file}: has the columns ${listed(columns)}: say which to answer, as in --input ${shellName(proposal.columns[0])}${because(proposal.reasons)}`,
  )
}

/** The column of that name, with that number from 1, or at that path in nested records (see `valueAt`). */
export function findColumn(file: string, columns: readonly string[], given: string): string {
  if (columns.includes(given)) return given
  const byNumber = /^\d+$/.test(given) ? columns[Number(given) - 1] : undefined
  if (byNumber !== undefined) return byNumber
  if (isPathTo(columns, given)) return given
  const nested = columns.find(column => column.endsWith(`.${given}`))
  const advice =
    nested === undefined ? didYouMean(given, columns, `it has ${listed(columns)}`) : `did you mean ${nested}?`
  throw new ConfigError(`${file}: has no column "${given}"; ${advice}`)
}

const MOST_LISTED = 20

const listed = (columns: readonly string[]): string =>
  columns.length <= MOST_LISTED
    ? columns.join(', ')
    : `${columns.slice(0, MOST_LISTED).join(', ')} and ${columns.length - MOST_LISTED} more`

/** The one column that has a usual name, if there is exactly one. */
function only(columns: readonly string[], names: readonly string[]): string | undefined {
  const found = usualAmong(columns, names)
  return found.length === 1 ? found[0] : undefined
}
