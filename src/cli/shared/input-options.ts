import type { Command } from 'commander'
import { isFile } from '../../checkpoint/files.js'
import { ConfigError } from '../../base/errors.js'
import type { InputsOptions } from '../../data/pairs/inputs.js'
import { delimiterOf } from './data-options.js'
import { shellWord } from './shell-word.js'
import { escapeControls } from './texts.js'

/** The options that name a file of texts, and say how it is read. */
export interface InputOptions extends Omit<InputsOptions, 'path' | 'skipBadRows'> {
  data?: string
  skipBadRows?: true
}

/** Adds the options for a file of texts to a command. `verb` is what the command does with a text: "answer". */
export const withInputOptions = (command: Command, verb: string): Command =>
  command
    .option(
      '--data <file>',
      `${verb} the inputs of a file: CSV, TSV, JSON Lines, Parquet or lines of text, or a pattern such as "data/*.jsonl.gz"`,
    )
    .option(
      '--input <column>',
      `with --data: the column to ${verb}: its name, number, or path in nested records such as translation.en (default: told by the names)`,
    )
    .option('--header', 'with --data: the first line of a CSV or TSV file names its columns (default: recognized)')
    .option('--no-header', 'with --data: the first line is an input')
    .option(
      '--delimiter <character>',
      'with --data: what separates the cells of a line (default: recognized)',
      delimiterOf,
    )
    .option('--quotes', 'with --data: cells may be quoted, as in RFC 4180 (default: recognized)')
    .option('--no-quotes', 'with --data: quotes are ordinary characters')
    .option('--skip-bad-rows', 'with --data: leave out rows that cannot be read, and say how many')

/**
 * The file of texts that the options name; undefined without `--data`. Throws a ConfigError if texts are given, too,
 * and if an option needs `--data`. `others` are further options that do.
 */
export function inputsFromOptions(
  { data, input, header, delimiter, quotes, skipBadRows }: InputOptions,
  texts: readonly string[],
  others: Readonly<Record<string, unknown>> = {},
): InputsOptions | undefined {
  if (data !== undefined && texts.length > 0)
    throw new ConfigError('give texts, or a file of inputs with --data, not both')
  const given = Object.entries({ ...others, input, header, delimiter, quotes, 'skip-bad-rows': skipBadRows }).filter(
    ([, value]) => value !== undefined,
  )
  if (data === undefined && given.length > 0)
    throw new ConfigError(`--${given[0][0]} is for a file of inputs: name it with --data`)
  return data === undefined ? undefined : { path: data, input, header, delimiter, quotes, skipBadRows }
}

/** Warns of the first given text that is the name of a file. `verb` is what the command does with a text: "answer". */
export async function warnOfFileName(texts: readonly string[], verb: string): Promise<void> {
  for (const text of texts) {
    if (!(await isFile(text))) continue
    console.error(
      `warning: ${escapeControls(text)} is a file, and its name is taken as a text: to ${verb} the texts in it, give --data ${escapeControls(shellWord(text))}`,
    )
    return
  }
}
