import { Command } from 'commander'

export const inspectCommand = (): Command =>
  new Command('inspect')
    .description('show the parameters, sizes and costs of a model, without loading its weights')
    .argument(
      '<model>',
      'a preset such as switch-base-8 or t5-1.1-small, a recipe or a task (also of your switchyard.config.ts), a run, a model that comes with Switchyard, such as g2p, a Hugging Face folder (config.json and weights), an adapter of PEFT, a T5X checkpoint, or a model of the Hugging Face hub, such as google/flan-t5-small, which is downloaded',
    )
    .option('--revision <name>', 'for a model of the hub: a branch, tag or commit (default: main)')
    .action(async (name: string, { revision }: { revision?: string }) => {
      const { describeModel, findModels } = await import('./inspection.js')
      console.log((await findModels(name, revision)).map(describeModel).join('\n\n'))
    })
