import { Command, Option } from 'commander'
import { ConfigError } from '../../base/errors.js'
import type { TextOptions } from '../../infer/text-options.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import { delimiterOf } from '../shared/data-options.js'
import { anyNumber, bitsOf, checkpointOption, collect, wholeNumber } from '../shared/options.js'

interface InferOptions extends Omit<TextOptions, 'noRepeatNgram'> {
  /** The value of `--no-repeat-ngram`. commander reads `--no-` as a negation: true if it is absent, else its number. */
  repeatNgram: true | number
  json?: boolean
  target?: string
  quantize?: 'int8' | 'int4'
  revision?: string
  checkpoint?: CheckpointChoice
  data?: string
  out?: string
  input?: string
  header?: boolean
  delimiter?: string
  quotes?: boolean
  skipBadRows?: true
}

export const inferCommand = (): Command =>
  new Command('infer')
    .description(
      'generate answers to texts; prints one line, input TAB output, for each answer, and an empty line for an empty text',
    )
    .argument(
      '<model>',
      'a model that comes with Switchyard, such as g2p; a run, such as runs/g2p; a Hugging Face folder (config.json, weights, vocabulary); a T5X checkpoint; or a model of the Hugging Face hub, such as google/switch-base-8',
    )
    .argument('[texts...]', 'the texts to answer (default: the lines of the standard input, or a prompt)')
    .option(
      '--json',
      'print one line of JSON for each text: the input, the answers with their tokens, and beam search scores',
    )
    .addOption(
      new Option('--quantize <type>', 'quantize the weights to 8 or 4 bits: less memory, faster, less exact').choices([
        'int8',
        'int4',
      ]),
    )
    .option(
      '--data <file>',
      'answer the inputs of a file: CSV, TSV, JSON Lines, Parquet or lines of text, or a pattern such as "data/*.jsonl.gz"',
    )
    .option(
      '--out <file>',
      'with --data: write the answers to this file, as JSON Lines. A file that a stopped command has begun is continued with the same model and options',
    )
    .option(
      '--input <column>',
      'with --data: the column to answer: its name, number, or path in nested records such as translation.en (default: told by the names)',
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
    .addOption(checkpointOption())
    .option('--revision <name>', 'for a model of the hub: a branch, tag or commit (default: main)')
    .option('--target <answer>', 'score this answer instead of generating one: its log-probability is the third column')
    .option('--max-new-tokens <n>', 'maximum number of tokens in an answer', wholeNumber(1))
    .option('--min-new-tokens <n>', 'minimum number of tokens in an answer', wholeNumber(0))
    .option('--num-beams <n>', 'beam search with this many beams', wholeNumber(1))
    .option('--num-returned <n>', 'how many answers beam search returns', wholeNumber(1))
    .option('--length-penalty <x>', 'beam search: values above 0 favour long answers', anyNumber)
    .option('--temperature <x>', 'sampling: below 1, probable tokens become more probable', anyNumber)
    .option('--top-k <n>', 'sampling: only the n most probable tokens', wholeNumber(1))
    .option('--top-p <x>', 'sampling: only the most probable tokens that add up to this probability', anyNumber)
    .option(
      '--min-p <x>',
      'sampling: only tokens at least this fraction as probable as the most probable one',
      anyNumber,
    )
    .option('--seed <n>', 'sampling: the same seed gives the same text', wholeNumber(0))
    .option('--repetition-penalty <x>', 'above 1, tokens that occurred before become less probable', anyNumber)
    .option('--no-repeat-ngram <n>', 'no sequence of this many tokens occurs twice', wholeNumber(1))
    .option('--stop <text>', 'end the answer after this text; may be given several times', collect)
    .action(
      async (
        model: string,
        texts: string[],
        {
          json = false,
          target,
          quantize,
          revision,
          checkpoint,
          repeatNgram,
          data,
          out,
          input,
          header,
          delimiter,
          quotes,
          skipBadRows,
          ...rest
        }: InferOptions,
      ) => {
        const options: TextOptions = { ...rest, ...(repeatNgram === true ? {} : { noRepeatNgram: repeatNgram }) }
        const ways = Object.keys(options).filter(way => way !== 'maxNewTokens')
        if (target !== undefined && ways.length > 0)
          throw new ConfigError(`--target scores a given answer, so ${ways.join(', ')} would have no effect: omit it`)
        if (data !== undefined && texts.length > 0)
          throw new ConfigError('give texts, or a file of inputs with --data, not both')
        const given = Object.entries({ out, input, header, delimiter, quotes, 'skip-bad-rows': skipBadRows }).filter(
          ([, value]) => value !== undefined,
        )
        if (data === undefined && given.length > 0)
          throw new ConfigError(`--${given[0][0]} is for a file of inputs: name it with --data`)
        const { findFolder } = await import('../shared/find-folder.js')
        const folder = await findFolder(model, revision)
        const output = { json, target, checkpoint, bits: quantize && bitsOf[quantize] }
        if (data !== undefined) {
          const { answerData } = await import('./answering-data.js')
          return answerData(folder, { path: data, out, input, header, delimiter, quotes, skipBadRows }, options, output)
        }
        const { answerTexts } = await import('./answering.js')
        await answerTexts(folder, texts, options, output)
      },
    )
