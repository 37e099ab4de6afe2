import { Command, Option } from 'commander'
import { ConfigError } from '../../base/errors.js'
import { checkpointOption } from '../shared/options.js'
import type { ConvertOptions } from './conversion.js'

export const convertCommand = (): Command =>
  new Command('convert')
    .description(
      "write a model's weights and vocabulary in another format, and open the result as infer would; missing and unexpected tensors are errors",
    )
    .argument(
      '<source>',
      'a Hugging Face folder (safetensors or torch .bin, whole or in shards), a LoRA adapter of PEFT, which is merged into its base, a T5X checkpoint, a run, a model that comes with Switchyard, such as g2p, or a hub model (owner/name)',
    )
    .argument('[folder]', 'the folder to write; it must not exist')
    .addOption(
      new Option(
        '--to <format>',
        'safetensors or hf: a Hugging Face folder, which from_pretrained opens; t5x: a T5X checkpoint; native: a Switchyard checkpoint; peft: the adapters of a run with train.lora, alone',
      )
        .choices(['safetensors', 'hf', 't5x', 'native', 'peft'])
        .default('safetensors'),
    )
    .addOption(
      new Option(
        '--dtype <type>',
        'the type of the written weights (default: as in the source); int8 and int4 quantize kernels and need --to native',
      ).choices(['float32', 'bfloat16', 'int8', 'int4']),
    )
    .addOption(
      new Option(
        '--experts <layout>',
        'where --to native puts the experts of a sparse model; apart: in a file of their own, expert by expert and with checksums, from which they can be read one by one',
      ).choices(['together', 'apart']),
    )
    .addOption(checkpointOption())
    .option('--revision <name>', 'for a hub model: a branch, tag or commit (default: main)')
    .action(
      async (
        source: string,
        folder: string | undefined,
        { revision, ...options }: Omit<ConvertOptions, 'to'> & { to: ConvertOptions['to'] | 'hf'; revision?: string },
      ) => {
        const { findFolder } = await import('../shared/find-folder.js')
        const { convertWeights, formatsFor } = await import('./conversion.js')
        const { checkWritten, checkWrittenAdapters } = await import('./written.js')
        const path = await findFolder(source, revision)
        if (folder === undefined)
          throw new ConfigError(
            `give the folder to write, after ${source}; the formats that can hold this model: ${(await formatsFor(path)).map(name => `--to ${name}`).join(', ')}`,
          )
        const to = options.to === 'hf' ? 'safetensors' : options.to
        await convertWeights(path, folder, { ...options, to })
        console.log(await (to === 'peft' ? checkWrittenAdapters(folder, source) : checkWritten(folder)))
      },
    )
