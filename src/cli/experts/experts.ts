import { Command } from 'commander'
import { ConfigError } from '../../base/errors.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import { byteSize } from '../shared/byte-size.js'
import { inputsFromOptions, withInputOptions } from '../shared/input-options.js'
import type { InputOptions } from '../shared/input-options.js'
import { withPagingOptions } from '../shared/paging-options.js'
import type { PagingOptions } from '../shared/paging-options.js'
import { checkpointOption, wholeNumber } from '../shared/options.js'
import type { MemorySize } from './simulating.js'

/** Commands about the experts that a model's tokens meet, and how much memory serves them. */
export const expertsCommand = (): Command =>
  new Command('experts')
    .description('record which experts tokens meet, and choose how much memory serves them: see docs/paging.md')
    .addCommand(traceCommand())
    .addCommand(simulateCommand())
    .addCommand(pinCommand())
    .addCommand(heatCommand())

interface TraceCommandOptions extends InputOptions, PagingOptions {
  out?: string
  examples?: number
  rows: number
  maxNewTokens?: number
  checkpoint?: CheckpointChoice
  revision?: string
}

const traceCommand = (): Command =>
  withPagingOptions(withInputOptions(new Command('trace'), 'answer'))
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
      const { out, examples, rows, maxNewTokens, checkpoint, expertsMemory, pins, revision, ...input } = options
      const inputs = inputsFromOptions(input, [])
      if (inputs === undefined) throw new ConfigError('experts trace answers the inputs of a file: name it with --data')
      const { findFolder } = await import('../shared/find-folder.js')
      const { traceExperts } = await import('./tracing.js')
      const folder = await findFolder(model, revision, [], expertsMemory !== undefined)
      await traceExperts(folder, inputs, {
        out,
        examples,
        rows,
        maxNewTokens,
        checkpoint,
        expertsMemory,
        pins,
      })
    })

const traceArgument = 'a trace that switchyard experts trace has written'

/** Reads a size of memory, and keeps its text for tables. */
const memorySize = (text: string): MemorySize => ({ text: text.trim(), bytes: byteSize(text) })

const simulateCommand = (): Command =>
  new Command('simulate')
    .description(
      "print how often the experts of a trace are in memory, for each eviction policy and memory size, beside the best possible rate (Belady's optimum)",
    )
    .argument('<trace>', traceArgument)
    .requiredOption('--memory <sizes>', 'sizes with commas between them, such as 1GB,2GB,4GB', text =>
      text.split(',').map(memorySize),
    )
    .option('--pins <file>', 'keep the experts of this list in memory, which switchyard experts pin has written')
    .action(async (trace: string, { memory, pins }: { memory: readonly MemorySize[]; pins?: string }) => {
      const { simulateTrace } = await import('./simulating.js')
      await simulateTrace(trace, memory, pins)
    })

const pinCommand = (): Command =>
  new Command('pin')
    .description(
      'write the list of experts that a trace uses most: half of what fits into memory, to be kept there once they are read',
    )
    .argument('<trace>', traceArgument)
    .requiredOption('--memory <size>', 'the memory for experts, such as 4GB', memorySize)
    .requiredOption('--out <file>', 'the list to write, such as pins.json')
    .action(async (trace: string, { memory, out }: { memory: MemorySize; out: string }) => {
      const { pinTrace } = await import('./pinning.js')
      console.log(await pinTrace(trace, memory, out))
    })

const heatCommand = (): Command =>
  new Command('heat')
    .description('draw how many tokens each expert got in a trace, as a picture (SVG): a row for each sparse layer')
    .argument('<trace>', traceArgument)
    .requiredOption('--out <file>', 'the picture to write, such as heat.svg')
    .action(async (trace: string, { out }: { out: string }) => {
      const { drawHeat } = await import('./heat.js')
      console.log(await drawHeat(trace, out))
    })
