import { Command, Option } from 'commander'
import { ConfigError } from '../base/errors.js'
import type { TextOptions } from '../infer/text-options.js'
import { anyNumber, bitsOf, collect, wholeNumber } from './options.js'

interface InferOptions extends Omit<TextOptions, 'noRepeatNgram'> {
  /** What `--no-repeat-ngram` is to commander, which takes it for the negation of another option: true, or its number. */
  repeatNgram: true | number
  json?: boolean
  target?: string
  quantize?: 'int8' | 'int4'
  revision?: string
}

export const inferCommand = (): Command =>
  new Command('infer')
    .description(
      'run a model: a line out for each text (or for each of its answers), input TAB output; an empty line for an empty text',
    )
    .argument(
      '<model>',
      'a run, such as runs/g2p; a folder of Hugging Face (config.json, weights, vocabulary) or T5X; or a model of the Hugging Face hub, such as google/switch-base-8',
    )
    .argument('[texts...]', 'what to run it on; without any: the lines of the standard input, or a prompt')
    .option('--json', 'a line of JSON for each text: input, answers with their tokens, and scores of beam search')
    .addOption(
      new Option('--quantize <type>', 'keep the weights in 8 or 4 bits: less memory and faster, less exact').choices([
        'int8',
        'int4',
      ]),
    )
    .option('--revision <name>', 'of a model of the hub: a branch, tag or commit (default: main)')
    .option('--target <answer>', 'answer nothing: say how probable this answer is, the logarithm in a third column')
    .option('--max-new-tokens <n>', 'how many tokens an answer has at most', wholeNumber(1))
    .option('--min-new-tokens <n>', 'and at least', wholeNumber(0))
    .option('--num-beams <n>', 'beam search with so many beams', wholeNumber(1))
    .option('--num-returned <n>', 'how many answers of beam search', wholeNumber(1))
    .option('--length-penalty <x>', 'of beam search: above 0 long answers gain', anyNumber)
    .option('--temperature <x>', 'sampling: below 1 likely tokens become likelier', anyNumber)
    .option('--top-k <n>', 'sampling: from the k likeliest tokens', wholeNumber(1))
    .option('--top-p <x>', 'sampling: from the likeliest tokens that have this share', anyNumber)
    .option('--min-p <x>', 'sampling: from tokens at least this share as likely as the likeliest', anyNumber)
    .option('--seed <n>', 'sampling: the same seed, the same text', wholeNumber(0))
    .option('--repetition-penalty <x>', 'above 1 tokens that came before are less likely', anyNumber)
    .option('--no-repeat-ngram <n>', 'no sequence of so many tokens comes twice', wholeNumber(1))
    .option('--stop <text>', 'the answer ends where this text has come; may be given again', collect)
    .action(
      async (
        model: string,
        texts: string[],
        { json = false, target, quantize, revision, repeatNgram, ...rest }: InferOptions,
      ) => {
        const options: TextOptions = { ...rest, ...(repeatNgram === true ? {} : { noRepeatNgram: repeatNgram }) }
        const ways = Object.keys(options).filter(way => way !== 'maxNewTokens')
        if (target !== undefined && ways.length > 0)
          throw new ConfigError(`--target makes no answer, so that ${ways.join(', ')} has no meaning: leave it out`)
        const { findFolder } = await import('./find-folder.js')
        const folder = await findFolder(model, revision)
        const { answerTexts } = await import('./answering.js')
        await answerTexts(folder, texts, options, { json, target, bits: quantize && bitsOf[quantize] })
      },
    )
