import { Command } from 'commander'

export const inspectCommand = (): Command =>
  new Command('inspect')
    .description('show the parameters, sizes and costs of a model; nothing is allocated')
    .argument(
      '<model>',
      'a preset such as switch-base-8 or t5-1.1-small, a recipe, the folder of a run, one of Hugging Face (config.json and weights), or a checkpoint of T5X',
    )
    .action(async (name: string) => {
      const { describeModel, findModel } = await import('./inspection.js')
      console.log(describeModel(await findModel(name)))
    })
