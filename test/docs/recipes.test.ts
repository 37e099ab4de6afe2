import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { fineTuning, pretraining, publishedSource } from '../../src/config/recipes/published.js'
import { settingsOf } from '../../src/config/validate.js'
import { trainDefaults } from '../../src/train/config.js'

/**
 * The table of docs/recipes.md: the settings of training that are not the defaults of all runs, and those of the model
 * and the router that a run changes.
 */
function recipesTable(): string {
  const [before, after] = [pretraining, fineTuning].map(make => new Map(settingsOf(make('switch-base-8'))))
  const defaults = new Map(settingsOf({ train: trainDefaults }))
  const isDefault = (path: string): boolean =>
    defaults.has(path) && [before, after].every(values => Object.is(values.get(path), defaults.get(path)))
  const isOfRun = (path: string): boolean =>
    (path.startsWith('train.') && !isDefault(path)) || path.toLowerCase().includes('dropoutrate')
  const value = (x: unknown): string => (x === undefined ? '' : `\`${typeof x === 'string' ? x : JSON.stringify(x)}\``)
  const rows = [...new Set([...before.keys(), ...after.keys()])]
    .filter(isOfRun)
    .map(path => `| \`${path}\` | ${value(before.get(path))} | ${value(after.get(path))} | ${publishedSource(path)} |`)
  return ['| setting | pretraining | fine-tuning | source |', '|---|---|---|---|', ...rows].join('\n')
}

it('docs/recipes.md holds the values of the published recipes, and their sources', () => {
  const table = recipesTable()
  const text = readFileSync(new URL('../../docs/recipes.md', import.meta.url), 'utf8')
  if (!text.includes(table)) console.log(table)
  expect(text.includes(table), 'put the table that is printed above into docs/recipes.md').toBe(true)
})
