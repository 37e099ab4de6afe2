import { Command } from 'commander'

export const plotCommand = (): Command =>
  new Command('plot')
    .description('draw the curves of one or more trainings as a picture (SVG)')
    .argument('<run...>', 'folders of runs, or files metrics.jsonl')
    .requiredOption('--out <file>', 'the picture to write, such as curves.svg')
    .option(
      '--figures <names>',
      'the figures to draw, with commas between them (default: loss, figures of the validation, learningRate)',
    )
    .action(async (paths: string[], options: { out: string; figures?: string }) => {
      const { plotRuns } = await import('./plotting.js')
      console.log(await plotRuns(paths, options.out, options.figures?.split(',')))
    })
