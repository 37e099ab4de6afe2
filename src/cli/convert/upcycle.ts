import { Command } from 'commander'
import { checkpointOption, wholeNumber } from '../shared/options.js'
import type { UpcyclingOptions } from './upcycling.js'

export const upcycleCommand = (): Command =>
  new Command('upcycle')
    .description('make a sparse model of a dense one: each new expert is a copy of the dense feed-forward network')
    .argument('<dense>', 'a dense model: a run, a Hugging Face folder, a T5X checkpoint, or a hub model (owner/name)')
    .argument(
      '<folder>',
      'the folder to write, in the format of the dense model (native for gated experts); it must not exist',
    )
    .requiredOption('--experts <n>', 'how many experts each sparse layer gets', wholeNumber(2))
    .option('--encoder-every <n>', 'every n-th layer of the encoder becomes sparse; 0: none', wholeNumber(0), 2)
    .option('--decoder-every <n>', 'every n-th layer of the decoder becomes sparse; 0: none', wholeNumber(0), 2)
    .option('--seed <n>', 'determines the weights of the new routers', wholeNumber(0), 0)
    .addOption(checkpointOption())
    .option('--revision <name>', 'for a hub model: a branch, tag or commit (default: main)')
    .action(async (dense: string, folder: string, options: UpcyclingOptions & { revision?: string }) => {
      const { findFolder } = await import('../shared/find-folder.js')
      const { upcycle } = await import('./upcycling.js')
      await upcycle(await findFolder(dense, options.revision), folder, options)
    })
