import { Command, Option } from 'commander'
import { ConfigError } from '../../base/errors.js'
import { withColumnOptions } from '../shared/data-options.js'
import type { DataOptions } from '../shared/data-options.js'
import type { EvalOptions } from './evaluating.js'
import { withPagingOptions } from '../shared/paging-options.js'
import { checkpointOption, collect, wholeNumber } from '../shared/options.js'

export const evalCommand = (): Command =>
  withPagingOptions(
    withColumnOptions(
      new Command('eval').option(
        '--data <file>',
        'score any model that infer opens on the pairs of texts in a file: CSV, TSV, JSON Lines or Parquet',
      ),
    ),
  )
    .description('score a trained model on held-out examples, by the metrics of its task')
    .argument(
      '<model>',
      'a run, such as runs/g2p, or one of its checkpoints; a model that comes with Switchyard, such as g2p; with --data, any model that infer opens, also of the hub',
    )
    .addOption(
      new Option(
        '--split <name>',
        'the examples of the run to use (default: test); with --data, the rows by the split column of the run, or all',
      ).choices(['train', 'validation', 'test', 'all']),
    )
    .option('--examples <count>', 'how many examples (default: all)', wholeNumber(1))
    .option(
      '--metric <name>',
      "a metric of texts, such as squad or bleu, instead of the task's; may be given again",
      collect,
    )
    .option('--num-beams <n>', 'beam search with this many beams, instead of greedy generation', wholeNumber(1))
    .option(
      '--max-input-tokens <n>',
      'refuse inputs of more tokens than this (default: those that do not fit into memory)',
      wholeNumber(1),
    )
    .addOption(checkpointOption())
    .option('--revision <name>', 'with --data, for a model of the hub: a branch, tag or commit (default: main)')
    .option('--errors', 'print all wrong answers, instead of a few answers')
    .option('--json <file>', 'write the figures (first line) and every prediction to this file, as JSON Lines')
    .option('--all', 'evaluate each checkpoint of the run')
    .option('--watch', 'evaluate each checkpoint of the run, and new ones while it is trained')
    .addHelpText(
      'after',
      `
Metrics of texts: accuracy, wrongAnswers, wordErrorRate, characterErrorRate, bleu, rouge, rougeMean, squad, triviaQa,
coqaF1, editDistance, meanMulticlassF1, matthewsCorrcoef, pearsonCorrcoef, spearmanCorrcoef`,
    )
    .action(async (folder: string, options: EvalOptions & DataOptions) => {
      if (options.data !== undefined) {
        const { evaluateOnData } = await import('./evaluating-data.js')
        return evaluateOnData(folder, options.data, options)
      }
      const { findShipped, isOnHub } = await import('../shared/find-folder.js')
      if (await isOnHub(folder))
        throw new ConfigError(
          `${folder}: a model of the hub has no task of its own: give --data with examples to evaluate it on`,
        )
      const { evaluateRun } = await import('./evaluating.js')
      await evaluateRun((await findShipped(folder)) ?? folder, options)
    })
