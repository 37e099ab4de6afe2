import { Command } from 'commander'
import { collect, collectSettings, wholeNumber } from '../shared/options.js'
import type { RouterBenchOptions } from './router-bench.js'

export const benchCommand = (): Command => {
  const bench = new Command('bench').description('compare ways to build a model, by training each of them')
  bench
    .command('routers')
    .description(
      'train the model of a recipe with each router for equally many steps, and print the quality and the speed of each',
    )
    .argument('[recipe]', 'the recipe whose task, model and data order all routers share', 'g2p')
    .option('--steps <n>', 'steps of each training', wholeNumber(1), 600)
    .option('--only <router>', 'compare this router only; may be given again', collect)
    .option('--set <path=value>', 'change a setting for all of them; may be given again', collectSettings, [])
    .action(async (recipe: string, options: RouterBenchOptions) => {
      const { benchRouters } = await import('./router-bench.js')
      await benchRouters(recipe, options)
    })
  return bench
}
