import { Command } from 'commander'
import { collectSettings } from '../shared/options.js'

export const configCommand = (): Command =>
  new Command('config')
    .description('show where the settings of a run or a recipe come from, or how two of them differ')
    .addCommand(
      new Command('explain')
        .description('list every setting of a run or a recipe, and where its value came from')
        .argument('<run-or-recipe>', 'a run, such as runs/g2p; a recipe, such as g2p; or switch-base-8/pretraining')
        .option('--set <path=value>', 'change a setting of a recipe; may be given again', collectSettings, [])
        .action(async (name: string, { set }: { set: string[] }) => {
          const { explainConfig } = await import('./configuration.js')
          console.log(await explainConfig(name, set))
        }),
    )
    .addCommand(
      new Command('diff')
        .description('list the settings in which two runs or recipes differ')
        .argument('<a>', 'a run or a recipe')
        .argument('<b>', 'another one')
        .action(async (a: string, b: string) => {
          const { diffConfigs } = await import('./configuration.js')
          console.log(await diffConfigs(a, b))
        }),
    )
