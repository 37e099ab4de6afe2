import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import { tokenizers } from '../../data/tokenizers/names.js'
import type { Tokenizer, Tokenizers } from '../../data/tokenizers/names.js'

/** The options that say what a file of data holds. */
export interface DataOptions {
  data?: string
  input?: string
  target?: string
  split?: string
  validation?: string
  test?: string
  header?: boolean
  delimiter?: string
  quotes?: boolean
  skipBadRows?: true
  labels?: string
  tokenizer?: Tokenizers
}

/** Adds the options for a file of data to a command. `what` says what `--data` takes the place of. */
export const withDataOptions = (command: Command, what: string): Command =>
  withColumnOptions(
    command.option(
      '--data <file>',
      `pairs of texts to learn, ${what}: CSV, TSV, JSON Lines or Parquet, or a pattern such as "data/*.jsonl.gz"`,
    ),
  )
    .option('--split <column>', 'a column that says train, validation or test (default: by a hash of the input)')
    .option('--validation <file>', 'a file with the validation examples')
    .option('--test <file>', 'a file with the test examples')

/** Adds the options that say how a file of pairs is read. */
export const withColumnOptions = (command: Command): Command =>
  command
    .option(
      '--input <column>',
      'the column to answer: its name, number, or path in nested records such as translation.en (default: told by the names; of two columns, the first)',
    )
    .option('--target <column>', 'the column of the answers (default: told by the names; of two columns, the second)')
    .option('--labels <words>', 'words for labels, such as 0=negative,1=positive')
    .option('--header', 'the first line of a CSV or TSV file names its columns (default: recognized)')
    .option('--no-header', 'the first line is an example')
    .option('--delimiter <character>', 'what separates the cells of a line (default: recognized)', delimiterOf)
    .option('--quotes', 'cells may be quoted, as in RFC 4180 (default: recognized)')
    .option('--no-quotes', 'quotes are ordinary characters')
    .option('--skip-bad-rows', 'leave out rows that cannot be read, and say how many (default: they are an error)')

/** Adds the choice of tokens, for a model that has no vocabulary yet. */
export const withTokenizerOption = (command: Command): Command =>
  command.option(
    '--tokenizer <name>',
    `how text becomes tokens: ${tokenizers.join(', ')}; or one for inputs and one for targets, as in t5,words (default: chosen by the data)`,
    tokenizersOf,
  )

/** A tab can be written as "tab" or \t, which are easier to type in a shell. */
export function delimiterOf(text: string): string {
  const delimiter = text === 'tab' || text === '\\t' ? '\t' : text
  if (delimiter.length !== 1) throw new InvalidArgumentError('expected one character, or tab')
  return delimiter
}

function tokenizersOf(text: string): Tokenizers {
  const names = text.split(',').map(name => name.trim())
  const known = names.filter((name): name is Tokenizer => (tokenizers as readonly string[]).includes(name))
  if (known.length !== names.length || names.length > 2)
    throw new InvalidArgumentError(`expected ${tokenizers.join(', ')}, or two of them with a comma between`)
  return { inputs: known[0], targets: known.at(-1)! }
}
