import { Command } from 'commander'

export const explainCommand = (): Command =>
  new Command('explain')
    .description("follow two words through every stage, from text to a trained model's answer, on a tiny model")
    .option('--full', 'print whole programs instead of their first lines')
    .action(async ({ full = false }: { full?: boolean }) => {
      const { explain } = await import('./explanation.js')
      for await (const section of explain({ full })) console.log(section)
    })
