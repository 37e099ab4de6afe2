/** What the first record of a file is. `unclear`: it may be either, and the user has to say. */
export type FirstRecord = 'header' | 'data' | 'unclear'

/** Words that name columns in data sets of texts. */
// prettier-ignore
const columnNames = new Set([
  'input', 'inputs', 'output', 'outputs', 'target', 'targets', 'source', 'src', 'tgt', 'text', 'texts', 'label', 'labels',
  'sentence', 'sentence1', 'sentence2', 'sentences', 'question', 'question1', 'question2', 'answer', 'answers', 'context',
  'prompt', 'completion', 'response', 'instruction', 'document', 'article', 'summary', 'title', 'body', 'content', 'message', 'subject', 'review',
  'headline', 'comment', 'tweet', 'sentiment', 'polarity', 'category', 'class', 'intent', 'topic', 'tag', 'tags', 'score', 'rating', 'stars',
  'premise', 'hypothesis', 'passage', 'query', 'utterance', 'translation', 'word', 'words', 'pronunciation', 'phonemes', 'spelling',
  'token', 'tokens', 'pos', 'lemma', 'form', 'id', 'idx', 'index', 'split', 'date', 'name', 'key', 'value', 'original',
  'normalized', 'language', 'lang', 'english', 'german', 'french', 'spanish', 'italian',
])

/** Names that are common words as well: they count only where all cells are names. */
const weakNames = new Set(['en', 'de', 'fr', 'es', 'it', 'x', 'y', 'from', 'to'])

/**
 * A cell that can name a column: one to three short words of letters, digits and underscores that begin with a letter.
 */
const isName = (cell: string): boolean => /^\p{L}[\p{L}\p{N}_.-]{0,29}( [\p{L}\p{N}_.-]{1,20}){0,2}$/u.test(cell)

/** Whether a cell is a usual name of a column, alone or as `source_text` has it; the values below lack underscores. */
const isColumnName = (cell: string, values: readonly string[]): boolean =>
  columnNames.has(cell.toLowerCase()) ||
  (cell.includes('_') &&
    cell
      .toLowerCase()
      .split('_')
      .some(part => columnNames.has(part)) &&
    !values.some(value => value.includes('_')))

/**
 * Tells whether the first record names the columns, by itself and by the records after it:
 *
 * - Cells that are empty, numbers or sentences are data, equal ones too unless they are usual names of columns; and so
 *   is a cell that its column holds again.
 * - If all cells are usual names of columns, it is a header.
 * - A column whose other values are all of another kind than its first (numbers, labels that repeat, texts of several
 *   words) makes it a header, in a CSV file or beside a usual name.
 * - A CSV file's first record that could be either is `unclear`, and so are single words with a usual name among them.
 */
export function firstRecord(rows: readonly (readonly string[])[], isCsv: boolean): FirstRecord {
  const [first, ...others] = rows
  if (first === undefined) return 'data'
  if (isCsv && first.length > 2 && isRowNumbers(first[0], others))
    return firstRecord(
      rows.map(row => row.slice(1)),
      isCsv,
    )
  if (!first.every(isName)) return 'data'
  const columns = first.map((_, column) => others.map(row => row[column] ?? ''))
  const isUsual = first.map((cell, column) => isColumnName(cell, columns[column]))
  if (first.every((cell, column) => isUsual[column] || weakNames.has(cell.toLowerCase()))) return 'header'
  if (new Set(first).size < first.length) return 'data'
  if (columns.some((values, column) => values.includes(first[column]))) return 'data'
  if (!isCsv && (!isUsual.includes(true) || first.some((cell, column) => !isUsual[column] && cell.includes(' '))))
    return 'data'
  if (columns.some((values, column) => isOfAnotherKind(first[column], values))) return 'header'
  return 'unclear'
}

/** Whether a column is the index of pandas' `to_csv`: it has no name and counts the rows. */
const isRowNumbers = (first: string, others: readonly (readonly string[])[]): boolean =>
  first === '' && others.length > 0 && others.every(([cell]) => /^\d+$/.test(cell))

/** With fewer records than this, a difference between the first and the others says nothing. */
const ENOUGH = 5

/** Whether all of a column's values differ in kind from its first cell. */
function isOfAnotherKind(first: string, values: readonly string[]): boolean {
  if (values.length < ENOUGH) return false
  if (values.every(value => /\d/.test(value)) && !/\d/.test(first)) return true
  if (new Set(values).size * 3 <= values.length) return true
  return !first.includes(' ') && values.every(value => value.includes(' '))
}
