import { Command } from 'commander'
import { withDataOptions } from '../shared/data-options.js'
import { checkpointOption, collectSettings, wholeNumber } from '../shared/options.js'
import type { PruningOptions } from './pruning.js'

export const pruneCommand = (): Command =>
  withDataOptions(new Command('prune'), 'on which the use of the experts is measured')
    .description('make a smaller model: each sparse layer keeps the experts that your data uses most')
    .argument('<model>', 'a sparse model: a run, a Hugging Face folder, a T5X checkpoint, or a hub model (owner/name)')
    .argument('<folder>', 'the folder to write, in the format of the model; it must not exist')
    .requiredOption('--experts <n>', 'how many experts each sparse layer keeps', wholeNumber(1))
    .option('--set <path=value>', 'change a setting of the data, such as task.header=true', collectSettings, [])
    .addOption(checkpointOption())
    .option('--revision <name>', 'for a hub model: a branch, tag or commit (default: main)')
    .action(async (model: string, folder: string, options: PruningOptions & { revision?: string }) => {
      const { findFolder } = await import('../shared/find-folder.js')
      const { prune } = await import('./pruning.js')
      await prune(await findFolder(model, options.revision), folder, options)
    })
