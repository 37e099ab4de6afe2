import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { MetricsLog } from './metrics-log.js'
import { removeRunFiles } from './run-files.js'
import { writeRunStart } from './run-start.js'

it('All files that a run writes before its first checkpoint are removed, and no others', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-run-files-'))
  await writeFile(join(folder, 'notes.txt'), 'of the user')
  await writeRunStart(folder, { config: {} })
  // A run that was killed at step 2 and begins again: its new records wait for a checkpoint.
  const killed = new MetricsLog(folder)
  await killed.open(0)
  for (const step of [1, 2]) await killed.append({ step })
  const log = new MetricsLog(folder)
  await log.open(0)
  await log.append({ step: 1 })
  await log.prepare(1)
  expect((await readdir(folder)).sort()).toEqual([
    'metrics.jsonl',
    'metrics.jsonl.resumed',
    'metrics.jsonl.step-1',
    'notes.txt',
    'run.json',
  ])
  await removeRunFiles(folder)
  expect(await readdir(folder)).toEqual(['notes.txt'])
  await rm(folder, { recursive: true })
})
