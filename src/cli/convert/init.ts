import { Command, Option } from 'commander'
import type { NewWeightsOptions } from './conversion.js'
import { wholeNumber } from '../shared/options.js'

export const initCommand = (): Command =>
  new Command('init')
    .description(
      'write new random weights of a preset as a Hugging Face folder (config.json, model.safetensors, vocabulary); switch-xxl-128, whose gated experts transformers does not have, and models with --experts seeded as a folder of our own format',
    )
    .argument('<preset>', 'a preset, such as switch-base-8 or t5-1.1-small')
    .argument('<folder>', 'the folder to write; it must not exist')
    .option('--seed <number>', 'the seed of the random weights', wholeNumber(0), 0)
    .addOption(
      new Option('--dtype <type>', 'the type of the written weights')
        .choices(['float32', 'bfloat16', 'int8', 'int4'])
        .default('float32'),
    )
    .addOption(
      new Option(
        '--experts <source>',
        'seeded: each expert is made from the seed when it is first read, and then kept on disk, so that a model of any size can be tried; needed for int8 and int4',
      ).choices(['seeded']),
    )
    .action(async (name: string, folder: string, options: NewWeightsOptions) => {
      const { writeNewWeights } = await import('./conversion.js')
      const { checkWritten } = await import('./written.js')
      await writeNewWeights(name, folder, options)
      console.log(await checkWritten(folder))
    })
