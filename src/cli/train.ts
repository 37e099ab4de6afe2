import { Command } from 'commander'

export interface TrainOptions {
  data?: string
  set: string[]
  resume?: string | true
  out?: string
  printConfig?: true
}

export const trainCommand = (): Command => new Command('train')
  .description('train a model by a recipe, or on your own pairs of texts, and evaluate it on held-out examples')
  .argument('[recipe]', 'g2p: five minutes, English spelling to phonemes; g2p-full: an hour or two')
  .option('--data <file>', 'lines of input TAB target to learn from, instead of a recipe')
  .option('--set <path=value>', 'change a setting, such as train.steps=300; may be given again', collect, [])
  .option('--resume [folder]', 'go on with a run, by default the latest under runs/')
  .option('--out <folder>', 'where the run is saved; if it exists, the next free name (default: runs/NAME)')
  .option('--print-config', 'print the settings and stop')
  .action(async (recipe: string | undefined, options: TrainOptions) => {
    const { train } = await import('./training.js')
    await train(recipe, options)
  })

export function collect(value: string, previous: string[]): string[] {
  return [...previous, value]
}
