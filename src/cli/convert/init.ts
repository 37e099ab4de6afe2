import { Command, Option } from 'commander'
import { wholeNumber } from '../shared/options.js'

export const initCommand = (): Command =>
  new Command('init')
    .description(
      'write new random weights of a preset as a Hugging Face folder (config.json, model.safetensors, vocabulary); switch-xxl-128, whose gated experts transformers does not have, as a Switchyard checkpoint',
    )
    .argument('<preset>', 'a preset, such as switch-base-8 or t5-1.1-small')
    .argument('<folder>', 'the folder to write; it must not exist')
    .option('--seed <number>', 'the seed of the random weights', wholeNumber(0), 0)
    .addOption(
      new Option('--dtype <type>', 'the type of the written weights')
        .choices(['float32', 'bfloat16'])
        .default('float32'),
    )
    .action(async (name: string, folder: string, { seed, dtype }: { seed: number; dtype: 'float32' | 'bfloat16' }) => {
      const { writeNewWeights } = await import('./conversion.js')
      const { checkWritten } = await import('./written.js')
      await writeNewWeights(name, folder, { seed, dtype })
      console.log(await checkWritten(folder))
    })
