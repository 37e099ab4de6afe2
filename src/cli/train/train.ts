import { Command } from 'commander'
import { withDataOptions, withTokenizerOption } from '../shared/data-options.js'
import { withMeshOption } from '../shared/mesh.js'
import { collectSettings } from '../shared/options.js'
import type { TrainOptions } from './training.js'

export const trainCommand = (): Command =>
  withMeshOption(withTokenizerOption(withDataOptions(new Command('train'), 'instead of a recipe')))
    .description('train a model by a recipe, or on your own pairs of texts, and evaluate it on held-out examples')
    .argument(
      '[recipe]',
      'g2p: English spelling to phonemes, about four minutes on 2 cores; g2p-full: a larger model, about an hour; brown: span corruption on the Brown Corpus; a recipe or a task of your switchyard.config.ts; or a JSON file as --print-config prints it',
    )
    .option('--set <path=value>', 'change a setting, such as train.steps=300; may be given again', collectSettings, [])
    .option('--task <name>', 'the same as the name alone: train NAME; for those who know it from finetune')
    .option('--resume [folder]', 'continue a run, by default the latest under runs/')
    .option(
      '--out <folder>',
      'the folder to save the run in; if it exists, the next free name is used (default: runs/NAME)',
    )
    .option('--debug-nans', 'with --resume: find the equation that gave the first NaN of a run whose loss became NaN')
    .option('--print-config', 'print the settings as JSON and stop')
    .addHelpText(
      'after',
      `
A dense model, without experts (a token costs as much as with one expert):
  switchyard train g2p --set model.encoderSparseEvery=0 --set model.decoderSparseEvery=0`,
    )
    .action(async (recipe: string | undefined, options: TrainOptions) => {
      const { train } = await import('./training.js')
      await train(recipe, options)
    })
