import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { errorOf, planOf, publishedRuns } from '../../src/plan/published.js'
import { formatMesh } from '../../src/train/parallel/mesh-config.js'

/** The table of docs/plan.md: published trainings, and what is predicted for them. */
function publishedTable(): string {
  const seconds = (s: number): string => `${s.toFixed(3)} s`
  const rows = publishedRuns.map(run => {
    const { seconds: predicted, totalBytes } = planOf(run)
    const error = `${errorOf(run) >= 0 ? '+' : ''}${(100 * errorOf(run)).toFixed(0)}%`
    const { communication } = predicted
    return `| ${run.name} | ${formatMesh(run.mesh)} | ${seconds(run.seconds)} | ${seconds(predicted.total)} | ${error} | ${seconds(communication)} | ${(totalBytes / 2 ** 30).toFixed(1)} GiB | ${run.source} | ${run.assumed} |`
  })
  return [
    '| training | mesh | a step, published | predicted | error | of it communication | predicted memory | source | assumed |',
    '|---|---|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n')
}

it('docs/plan.md holds the predictions for published trainings', () => {
  const table = publishedTable()
  const text = readFileSync(new URL('../../docs/plan.md', import.meta.url), 'utf8')
  if (!text.includes(table)) console.log(table)
  expect(text.includes(table), 'put the table that is printed above into docs/plan.md').toBe(true)
})
