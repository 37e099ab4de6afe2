import * as z from 'zod'
import { ConfigError } from '../../base/errors.js'
import { tokenizers } from '../tokenizers/names.js'

/** A column, by its name or by its number from 1. */
const column = z.union([z.string().min(1), z.int().min(1).transform(String)]).nullable()
const tokenizer = z.enum(tokenizers).nullable()

/** Words for labels, as a record or as text: `0=negative,1=positive`. */
const labels = z.union([z.record(z.string(), z.string().min(1)), z.string().transform(parseLabels)]).nullable()

/** The settings of a task of pairs. Null means: recognized, or chosen by our rules. */
export const pairsSettings = {
  /** The file, or a glob pattern for several. */
  path: z.string().min(1),
  /** The columns to answer and to learn. */
  input: column.default(null),
  target: column.default(null),
  /** A column that says train, validation or test. */
  split: column.default(null),
  /** Files of the other splits. Splits that neither files nor a column give are taken by the hash of the input. */
  validation: z.string().min(1).nullable().default(null),
  test: z.string().min(1).nullable().default(null),
  /** Whether the first line of a CSV or TSV file names its columns. */
  header: z.boolean().nullable().default(null),
  /** What separates the cells of a CSV or TSV file, and whether they may be quoted. */
  delimiter: z.string().length(1).nullable().default(null),
  quotes: z.boolean().nullable().default(null),
  labels: labels.default(null),
  /** Whether rows that cannot be read are left out, with a note of their number. By default they are an error. */
  skipBadRows: z.boolean().default(false),
  /** How each side becomes tokens. */
  inputTokenizer: tokenizer.default(null),
  targetTokenizer: tokenizer.default(null),
  /** Whether the words of both sides are numbered, for targets that go word for word with inputs, such as tags. */
  numberWords: z.boolean().nullable().default(null),
  /**
   * Whether the targets are labels (classification), of which an answer is right or wrong as a whole. Decided once, by
   * the training examples, so that a run has the same metrics on any data.
   */
  classification: z.boolean().nullable().default(null),
}

const schema = z.strictObject(pairsSettings)
export type PairsSettings = z.output<typeof schema>

/** Settings from the few that are given. Throws a ConfigError that names a wrong one. */
export function pairsSettingsOf(given: z.input<typeof schema>): PairsSettings {
  const result = schema.safeParse(given)
  if (result.success) return result.data
  const wrong = result.error.issues.map(({ path, code, message, ...issue }) => {
    // The issue of a union is that of its last form, which is text.
    const inner = code === 'invalid_union' && 'errors' in issue ? issue.errors.at(-1)?.at(-1)?.message : undefined
    return `--${path.join('.')} ${JSON.stringify(given[path[0] as keyof typeof given])}: ${inner ?? message}`
  })
  throw new ConfigError(wrong.join('; '))
}

function parseLabels(text: string, context: z.RefinementCtx): Record<string, string> {
  const entries = text.split(',').map(entry => entry.split('='))
  if (entries.every(([value, word]) => value?.trim() && word?.trim()))
    return Object.fromEntries(entries.map(([value, ...words]) => [value.trim(), words.join('=').trim()]))
  context.addIssue('expected value=word pairs such as 0=negative,1=positive')
  return z.NEVER
}
