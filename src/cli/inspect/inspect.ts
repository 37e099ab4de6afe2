import { Command } from 'commander'

export const inspectCommand = (): Command =>
  new Command('inspect')
    .description('show the parameters, sizes and costs of a model, without loading its weights')
    .argument(
      '<model>',
      'a preset such as switch-base-8 or t5-1.1-small, a recipe or a task (also of your switchyard.config.ts), a run, a model that comes with Switchyard, such as g2p, a Hugging Face folder (config.json and weights), or a T5X checkpoint',
    )
    .action(async (name: string) => {
      const { describeModel, findModels } = await import('./inspection.js')
      console.log((await findModels(name)).map(describeModel).join('\n\n'))
    })
