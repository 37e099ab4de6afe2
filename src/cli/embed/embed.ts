import { Command, Option } from 'commander'
import { ConfigError } from '../../base/errors.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import { inputsFromOptions, warnOfFileName, withInputOptions } from '../shared/input-options.js'
import type { InputOptions } from '../shared/input-options.js'
import { withPagingOptions } from '../shared/paging-options.js'
import type { PagingOptions } from '../shared/paging-options.js'
import { bitsOf, checkpointOption, wholeNumber } from '../shared/options.js'

/** The names of poolings on the command line, with sentence-transformers' names. */
const poolings = { mean: 'mean', max: 'max', first: 'cls', last: 'lasttoken' } as const

interface EmbedCommandOptions extends InputOptions, PagingOptions {
  json?: boolean
  out?: string
  similarity?: boolean
  normalize?: boolean
  pooling?: keyof typeof poolings
  /** The name of a prompt, false for none (`--no-prompt`); true if neither is given. */
  prompt: string | boolean
  maxLength?: number
  quantize?: keyof typeof bitsOf
  checkpoint?: CheckpointChoice
  revision?: string
}

export const embedCommand = (): Command =>
  withPagingOptions(withInputOptions(new Command('embed'), 'embed'))
    .description(
      'compute vectors (embeddings) of texts with the encoder of a model; prints one JSON array of numbers for each text',
    )
    .argument(
      '<model>',
      'any model that infer opens, also an encoder alone, and the folders of sentence-transformers, with their pooling, dense and normalizing modules: a folder or a name of the Hugging Face hub, such as sentence-transformers/sentence-t5-base',
    )
    .argument('[texts...]', 'the texts (default: the lines of the standard input)')
    .option('--json', 'print one line of JSON for each text: {"text", "vector"}')
    .option(
      '--out <file>',
      'write the vectors to a new file: .jsonl with lines as --json prints them, or .safetensors with one tensor, vectors [texts, size]',
    )
    .option(
      '--similarity',
      'print how alike the texts are, pair by pair: the cosine, unless the model names another measure',
    )
    .option('--normalize', 'divide each vector by its length')
    .addOption(
      new Option(
        '--pooling <way>',
        "how the vectors of a text's tokens become one (default: as the model's folder says, else mean)",
      ).choices(Object.keys(poolings)),
    )
    .option('--prompt <name>', "put this prompt of the model before each text (default: the model's default prompt)")
    .option('--no-prompt', 'put no prompt before the texts')
    .option(
      '--max-length <n>',
      "cut texts to this many tokens, EOS included (default: as the model's folder says, else no limit)",
      wholeNumber(1),
    )
    .addOption(
      new Option('--quantize <type>', 'quantize the weights to 8 or 4 bits: less memory, less exact').choices(
        Object.keys(bitsOf),
      ),
    )
    .addOption(checkpointOption())
    .option('--revision <name>', 'for a model of the hub: a branch, tag or commit (default: main)')
    .action(async (model: string, texts: string[], options: EmbedCommandOptions) => {
      const {
        json = false,
        out,
        similarity = false,
        normalize,
        pooling,
        prompt,
        maxLength,
        quantize,
        checkpoint,
        expertsMemory,
        pins,
      } = options
      const file = inputsFromOptions(options, texts)
      if (similarity && out !== undefined)
        throw new ConfigError('--similarity prints a table, and --out writes vectors: give one of them')
      await warnOfFileName(texts, 'embed')
      const { checkVectorFile } = await import('./vector-file.js')
      if (out !== undefined) await checkVectorFile(out)
      const { findFolder } = await import('../shared/find-folder.js')
      const folder = await findFolder(model, options.revision, [], expertsMemory !== undefined)
      const { embedTexts } = await import('./embedding.js')
      await embedTexts(folder, file ?? texts, {
        opening: {
          pooling: pooling && poolings[pooling],
          maxLength,
          bits: quantize && bitsOf[quantize],
          checkpoint,
          expertsMemory,
          pins,
        },
        embedding: { normalize, prompt: typeof prompt === 'string' ? prompt : prompt ? undefined : null },
        output: { json, out, similarity },
      })
    })
