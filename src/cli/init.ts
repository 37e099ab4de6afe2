import { Command, Option } from 'commander'
import { invocation } from './invocation.js'
import { wholeNumber } from './options.js'

export const initCommand = (): Command =>
  new Command('init')
    .description('write new, random weights of a preset as a folder of Hugging Face (config.json, model.safetensors)')
    .argument('<preset>', 'such as switch-base-8 or t5-1.1-small')
    .argument('<folder>', 'where they are written; it must not exist')
    .option('--seed <number>', 'decides the weights', wholeNumber(0), 0)
    .addOption(new Option('--dtype <type>', 'how they are stored').choices(['float32', 'bfloat16']).default('float32'))
    .action(async (name: string, folder: string, { seed, dtype }: { seed: number; dtype: 'float32' | 'bfloat16' }) => {
      const { writeNewWeights } = await import('./conversion.js')
      await writeNewWeights(name, folder, { seed, dtype })
      console.log(`written to ${folder}; to see what it holds: ${invocation()} inspect ${folder}`)
    })
