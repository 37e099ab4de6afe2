import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { MetricsLog } from './metrics-log.js'

it('a resumed run keeps the records that come while its next checkpoint is saved', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-'))
  try {
    const stepsOf = async (): Promise<number[]> =>
      (await readFile(join(folder, 'metrics.jsonl'), 'utf8'))
        .trim()
        .split('\n')
        .map(line => (JSON.parse(line) as { step: number }).step)
    const first = new MetricsLog(folder)
    await first.open(0)
    for (const step of [1, 2, 3]) await first.append({ step })

    const resumed = new MetricsLog(folder)
    await resumed.open(1)
    await resumed.append({ step: 2 })
    await resumed.prepare(2)
    await resumed.append({ step: 3 })
    await Promise.all([resumed.append({ step: 4 }), resumed.commit(2), resumed.append({ step: 5 })])
    await resumed.append({ step: 6 })
    expect(await stepsOf()).toEqual([1, 2, 3, 4, 5, 6])
    expect(await readdir(folder)).toEqual(['metrics.jsonl'])
  } finally {
    await rm(folder, { recursive: true })
  }
})
