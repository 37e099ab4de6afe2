import { Command, Option } from 'commander'
import { SwitchyardError } from '../base/errors.js'
import type { SplitName } from '../data/source.js'
import type { CheckpointChoice } from '../train/choose-checkpoint.js'
import { checkpointOption, wholeNumber } from './options.js'

interface EvalOptions {
  split: SplitName
  examples?: number
  numBeams?: number
  checkpoint?: CheckpointChoice
}

export const evalCommand = (): Command =>
  new Command('eval')
    .description('score a trained model on held-out examples, by the metrics of its task')
    .argument('<folder>', 'a run, such as runs/g2p, or one of its checkpoints')
    .addOption(
      new Option('--split <name>', 'the examples to use').choices(['train', 'validation', 'test']).default('test'),
    )
    .option('--examples <count>', 'how many examples (default: all)', wholeNumber(1))
    .option('--num-beams <n>', 'beam search with this many beams, instead of greedy generation', wholeNumber(1))
    .addOption(checkpointOption())
    .action(async (folder: string, { split, examples, numBeams, checkpoint }: EvalOptions) => {
      const { openModel } = await import('../open/open-model.js')
      const { loadUserValues } = await import('./user-config.js')
      const { evaluate } = await import('../train/evaluate.js')
      const { formatSamples, formatScores } = await import('./report.js')
      const { watchPredictions } = await import('./progress.js')
      const { params, config, codec } = await openModel(folder, {
        choice: checkpoint,
        onNotice: message => console.error(message),
      })
      const known = await loadUserValues()
      const task = await known.loadTask(config.task, codec)
      if (task.split(split).length === 0) {
        throw new SwitchyardError(
          `there are so few examples that none fell into the ${split} split. ` +
            '--split train evaluates the model on the examples it was trained on',
        )
      }
      const result = await watchPredictions(task.units.many, onProgress =>
        evaluate(params, config, task, {
          ...known.valuesOf(config),
          split,
          limit: examples ?? null,
          generation: { numBeams },
          onProgress,
        }),
      )
      console.log(`${formatSamples(result, 12)}\n\n${formatScores(result, task)}`)
    })
