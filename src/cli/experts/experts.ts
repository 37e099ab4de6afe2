import { Command } from 'commander'
import { ConfigError } from '../../base/errors.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import { inputsFromOptions, withInputOptions } from '../shared/input-options.js'
import type { InputOptions } from '../shared/input-options.js'
import { checkpointOption, wholeNumber } from '../shared/options.js'

/** Commands about the experts that a model's tokens meet, and how much memory serves them. */
export const expertsCommand = (): Command =>
  new Command('experts')
    .description('record which experts tokens meet, and choose how much memory serves them: see docs/paging.md')
    .addCommand(traceCommand())

interface TraceCommandOptions extends InputOptions {
  out?: string
  examples?: number
  rows: number
  maxNewTokens?: number
  checkpoint?: CheckpointChoice
  revision?: string
}

const traceCommand = (): Command =>
  withInputOptions(new Command('trace'), 'answer')
    .description(
      'answer the inputs of a file, and write which experts their tokens met: JSON Lines, one line for each encoding and each step of the decoder',
    )
    .argument('<model>', 'any sparse model that infer opens, such as g2p, runs/g2p or google/switch-base-8')
    .option('--out <file>', 'the trace to write, such as trace.jsonl (default: the standard output)')
    .option('--examples <count>', 'how many inputs (default: all)', wholeNumber(1))
    .option('--rows <n>', 'how many inputs are answered together', wholeNumber(1), 1)
    .option(
      '--max-new-tokens <n>',
      'maximum number of tokens in an answer (default: as the model says, or 128)',
      wholeNumber(1),
    )
    .addOption(checkpointOption())
    .option('--revision <name>', 'for a model of the hub: a branch, tag or commit (default: main)')
    .action(async (model: string, options: TraceCommandOptions) => {
      const { out, examples, rows, maxNewTokens, checkpoint, revision, ...input } = options
      const inputs = inputsFromOptions(input, [])
      if (inputs === undefined) throw new ConfigError('experts trace answers the inputs of a file: name it with --data')
      const { findFolder } = await import('../shared/find-folder.js')
      const { traceExperts } = await import('./tracing.js')
      await traceExperts(await findFolder(model, revision), inputs, {
        out,
        examples,
        rows,
        maxNewTokens,
        checkpoint,
      })
    })
