import { Command, Option } from 'commander'
import { SwitchyardError } from '../base/errors.js'
import type { SplitName } from '../data/source.js'
import { wholeNumber } from './options.js'

interface EvalOptions {
  split: SplitName
  examples?: number
  numBeams?: number
}

export const evalCommand = (): Command =>
  new Command('eval')
    .description('measure the error rates of a trained model on held-out examples')
    .argument('<folder>', 'a run, such as runs/g2p, or one of its checkpoints')
    .addOption(new Option('--split <name>', 'which examples').choices(['train', 'validation', 'test']).default('test'))
    .option('--examples <count>', 'how many examples; all by default', wholeNumber(1))
    .option('--num-beams <n>', 'beam search with so many beams, instead of greedy generation', wholeNumber(1))
    .action(async (folder: string, { split, examples, numBeams }: EvalOptions) => {
      const { openModel } = await import('../open/open-model.js')
      const { loadTask } = await import('../data/tasks.js')
      const { parseRunConfig } = await import('../config/validate.js')
      const { evaluate } = await import('../train/evaluate.js')
      const { formatRates, formatSamples, unitOf } = await import('./report.js')
      const { watchPredictions } = await import('./progress.js')
      const opened = await openModel(folder, parseRunConfig)
      const task = await loadTask(opened.taskSpec)
      if (task.split(split).length === 0) {
        throw new SwitchyardError(
          `no example fell into the ${split} split: more data is needed to evaluate. ` +
            '--split train shows what the model makes of the examples that it learned from',
        )
      }
      const result = await watchPredictions(unitOf(task), onProgress =>
        evaluate(opened.params, opened.config, task, { split, limit: examples ?? null, numBeams, onProgress }),
      )
      console.log(`${formatSamples(result, 12)}\n\n${formatRates(result, task)}`)
    })
