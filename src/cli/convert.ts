import { Command, Option } from 'commander'
import { invocation } from './invocation.js'
import type { ConvertOptions } from './conversion.js'

export const convertCommand = (): Command =>
  new Command('convert')
    .description(
      "write a model's weights in another format; every tensor must be one of the model's, and none may be missing",
    )
    .argument(
      '<source>',
      'a folder of Hugging Face (safetensors or torch .bin, whole or in shards), a checkpoint of T5X, a run, or a model of the hub (owner/name)',
    )
    .argument('<folder>', 'where they are written; it must not exist')
    .addOption(
      new Option('--to <format>', "safetensors: a folder as Hugging Face's; t5x: a checkpoint of T5X; native: our own")
        .choices(['safetensors', 't5x', 'native'])
        .default('safetensors'),
    )
    .addOption(
      new Option(
        '--dtype <type>',
        'how they are stored; by default as in the source; int8 and int4 (kernels alone) in our own format',
      ).choices(['float32', 'bfloat16', 'int8', 'int4']),
    )
    .option('--revision <name>', 'of a model of the hub: a branch, tag or commit (default: main)')
    .action(
      async (source: string, folder: string, { revision, ...options }: ConvertOptions & { revision?: string }) => {
        const { findFolder } = await import('./find-folder.js')
        const { convertWeights } = await import('./conversion.js')
        await convertWeights(await findFolder(source, revision), folder, options)
        console.log(`written to ${folder}; to see what it holds: ${invocation()} inspect ${folder}`)
      },
    )
