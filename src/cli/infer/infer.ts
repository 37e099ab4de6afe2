import { readFile } from 'node:fs/promises'
import { Command, Option } from 'commander'
import { ConfigError } from '../../base/errors.js'
import { withPath } from '../../base/system-errors.js'
import { parseJson } from '../../checkpoint/json.js'
import type { TextOptions } from '../../infer/text-options.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import { inputsFromOptions, warnOfFileName, withInputOptions } from '../shared/input-options.js'
import type { InputOptions } from '../shared/input-options.js'
import { withPagingOptions } from '../shared/paging-options.js'
import type { PagingOptions } from '../shared/paging-options.js'
import { anyNumber, bitsOf, checkpointOption, collect, wholeNumber } from '../shared/options.js'

interface InferOptions
  extends Omit<TextOptions, 'noRepeatNgram' | 'banned' | 'jsonSchema'>, InputOptions, PagingOptions {
  ban?: readonly string[]
  choice?: readonly string[]
  /** A file. */
  jsonSchema?: string
  maxInputTokens?: number
  /** The value of `--no-repeat-ngram`. commander reads `--no-` as a negation: true if it is absent, else its number. */
  repeatNgram: true | number
  greedy?: boolean
  json?: boolean
  target?: string
  quantize?: 'int8' | 'int4'
  revision?: string
  checkpoint?: CheckpointChoice
  out?: string
}

/** The options of other searches than the greedy one. */
const notGreedy = ['numBeams', 'numReturned', 'lengthPenalty', 'temperature', 'topK', 'topP', 'minP', 'seed'] as const

export const inferCommand = (): Command =>
  withPagingOptions(withInputOptions(new Command('infer'), 'answer'))
    .description(
      'generate answers to texts; prints one line, input TAB output, for each answer, and an empty line for an empty text',
    )
    .argument(
      '<model>',
      'a model that comes with Switchyard, such as g2p; a run, such as runs/g2p; a Hugging Face folder (config.json, weights, vocabulary); a LoRA adapter of PEFT, which is merged into its base; a T5X checkpoint; or a model of the Hugging Face hub, such as google/switch-base-8',
    )
    .argument('[texts...]', 'the texts to answer (default: the lines of the standard input, or a prompt)')
    .option(
      '--json',
      'print one line of JSON for each text: the input, the answers with their tokens, why they ended (stop, or length: cut), and beam search scores',
    )
    .addOption(
      new Option('--quantize <type>', 'quantize the weights to 8 or 4 bits: less memory, faster, less exact').choices([
        'int8',
        'int4',
      ]),
    )
    .option(
      '--out <file>',
      'with --data: write the answers to this file, as JSON Lines. A file that a stopped command has begun is continued with the same model and options',
    )
    .addOption(checkpointOption())
    .option('--revision <name>', 'for a model of the hub: a branch, tag or commit (default: main)')
    .option('--target <answer>', 'score this answer instead of generating one: its log-probability is the third column')
    .option(
      '--max-new-tokens <n>',
      'maximum number of tokens in an answer (default: as the model says, or 128)',
      wholeNumber(1),
    )
    .option(
      '--max-input-tokens <n>',
      'refuse inputs of more tokens than this (default: those that do not fit into memory)',
      wholeNumber(1),
    )
    .option('--min-new-tokens <n>', 'minimum number of tokens in an answer', wholeNumber(0))
    .option(
      '--num-beams <n>',
      'beam search with this many beams; with an option of sampling, beams are drawn',
      wholeNumber(1),
    )
    .option('--num-returned <n>', 'how many answers to each text: of beam search, or sampled ones', wholeNumber(1))
    .option(
      '--greedy',
      "the most probable tokens: no beams and no sampling, even if the model's generation_config.json asks for them",
    )
    .option('--length-penalty <x>', 'beam search: values above 0 favour long answers', anyNumber)
    .option('--temperature <x>', 'sampling: below 1, probable tokens become more probable', anyNumber)
    .option(
      '--top-k <n>',
      'sampling: only the n most probable tokens; 0: all (default: as the model says, 50 for models of Hugging Face)',
      wholeNumber(0),
    )
    .option('--top-p <x>', 'sampling: only the most probable tokens that add up to this probability', anyNumber)
    .option(
      '--min-p <x>',
      'sampling: only tokens at least this fraction as probable as the most probable one',
      anyNumber,
    )
    .option('--seed <n>', 'sampling: the same seed gives the same text', wholeNumber(0))
    .option('--repetition-penalty <x>', 'above 1, tokens that occurred before become less probable', anyNumber)
    .option(
      '--no-repeat-ngram <n>',
      'no sequence of this many tokens occurs twice; 0: even if the model says so',
      wholeNumber(0),
    )
    .option('--ban <text>', 'generate no answer that contains this text; may be given several times', collect)
    .option('--stop <text>', 'end the answer before this text; may be given several times', collect)
    .option(
      '--choice <text>',
      'the answer is one of the texts that this option gives; may be given several times. Tokens are chosen one by one: with --num-beams of the number of texts and --length-penalty 0, the text that is most probable as a whole',
      collect,
    )
    .option('--regex <pattern>', 'the answer matches this regular expression (of JavaScript) as a whole')
    .option(
      '--json-schema <file>',
      'the answer is JSON that the JSON Schema in this file allows (docs/restricted-answers.md has the keywords)',
    )
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
          ban,
          choice,
          jsonSchema,
          maxInputTokens,
          expertsMemory,
          pins,
          greedy,
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
        const options: TextOptions = {
          ...rest,
          ...(repeatNgram === true ? {} : { noRepeatNgram: repeatNgram }),
          ...(ban && { banned: ban }),
          ...(choice && { choices: choice }),
          ...(jsonSchema !== undefined && { jsonSchema: await readSchema(jsonSchema) }),
          ...(greedy && { doSample: false, numBeams: 1 }),
        }
        const restrictions = [
          choice && '--choice',
          rest.regex !== undefined && '--regex',
          jsonSchema && '--json-schema',
        ]
        const restricted = restrictions.filter(name => name)
        if (restricted.length > 1)
          throw new ConfigError(`${restricted.join(' and ')} cannot be combined: each says what the whole answer is`)
        const others = notGreedy.filter(name => rest[name] !== undefined)
        if (greedy && others.length > 0)
          throw new ConfigError(
            `--greedy takes the most probable tokens, so ${others.join(', ')} would have no effect: omit it`,
          )
        const ways = Object.keys(options).flatMap(way =>
          way === 'maxNewTokens' || way === 'backend' ? [] : [{ banned: '--ban', choices: '--choice' }[way] ?? way],
        )
        if (target !== undefined && ways.length > 0)
          throw new ConfigError(`--target scores a given answer, so ${ways.join(', ')} would have no effect: omit it`)
        const inputs = inputsFromOptions({ data, input, header, delimiter, quotes, skipBadRows }, texts, { out })
        await warnOfFileName(texts, 'answer')
        const { findFolder } = await import('../shared/find-folder.js')
        const folder = await findFolder(model, revision, [], expertsMemory !== undefined)
        const bits = quantize && bitsOf[quantize]
        const output = { json, target, checkpoint, maxInputTokens, expertsMemory, pins, bits }
        if (inputs !== undefined) {
          const { answerData } = await import('./answering-data.js')
          return answerData(folder, { ...inputs, out }, options, output)
        }
        const { answerTexts } = await import('./answering.js')
        await answerTexts(folder, texts, options, output)
      },
    )

async function readSchema(file: string): Promise<object | boolean> {
  const text = await withPath(file, () => readFile(file, 'utf8'))
  const schema = parseJson(text, message => new ConfigError(`${file}: this is not JSON, ${message}`))
  if (typeof schema === 'boolean' || (typeof schema === 'object' && schema !== null)) return schema
  throw new ConfigError(`${file}: a JSON Schema is an object or a boolean, not ${JSON.stringify(schema)}`)
}
