import { Command } from 'commander'
import type { InspectDataOptions } from './data-inspection.js'
import { withDataOptions, withTokenizerOption } from '../shared/data-options.js'
import { collectSettings } from '../shared/options.js'

/** Commands about data: so far, to look at it before training. */
export const dataCommand = (): Command =>
  new Command('data').description('look at the data of a task before training').addCommand(inspectDataCommand())

const inspectDataCommand = (): Command =>
  withTokenizerOption(withDataOptions(new Command('inspect'), 'instead of a task'))
    .description(
      'show examples through every stage up to tokens, their lengths, how full the rows are, and what the vocabulary does not have',
    )
    .argument('[task]', 'a task or recipe, such as g2p')
    .option(
      '--set <path=value>',
      'change a setting, such as train.inputLength=128; may be given again',
      collectSettings,
      [],
    )
    .option('--plot <file>', 'draw histograms of the lengths to this SVG file')
    .action(async (task: string | undefined, options: InspectDataOptions) => {
      const { inspectData } = await import('./data-inspection.js')
      await inspectData(task, options)
    })
