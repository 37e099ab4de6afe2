import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { plotCurves } from './curves.js'
import { readMetrics } from './read-metrics.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-curves-'))
})
afterEach(() => rm(folder, { recursive: true }))

const lines = (records: readonly object[]): string => records.map(record => `${JSON.stringify(record)}\n`).join('')

describe('readMetrics', () => {
  it('takes the records of a resumed run in place of those that it repeats', async () => {
    await writeFile(join(folder, 'metrics.jsonl'), `${lines([1, 2, 3].map(step => ({ step, loss: 1 })))}{"step":4,"lo`)
    expect((await readMetrics(folder)).map(({ step }) => step)).toEqual([1, 2, 3])
    await writeFile(join(folder, 'metrics.jsonl.resumed'), lines([{ step: 3, loss: 2 }]))
    expect(await readMetrics(folder)).toEqual([
      { step: 1, loss: 1 },
      { step: 2, loss: 1 },
      { step: 3, loss: 2 },
    ])
    expect(await readMetrics(join(folder, 'metrics.jsonl'))).toHaveLength(3)
  })

  it('refuses a folder without records', async () => {
    await expect(readMetrics(folder)).rejects.toThrow(/has no records of a training/)
    await expect(readMetrics(join(folder, 'none'))).rejects.toThrow(/none: /)
    await writeFile(join(folder, 'pairs.tsv'), 'a\tb\n')
    await expect(readMetrics(join(folder, 'pairs.tsv'))).rejects.toThrow(/pairs\.tsv: has no records of a training/)
  })
})

describe('plotCurves', () => {
  const records = [1, 2, 3].map(step => ({
    step,
    loss: 4 - step,
    learningRate: 0.1,
    'validation/loss': 5 - step,
    load: [1],
  }))

  it('draws the loss with the validation loss, and the learning rate', () => {
    const svg = plotCurves([
      { name: 'a', records },
      { name: 'b<', records },
    ])
    // Two runs: loss and dashed validation loss in one panel, the learning rate in another.
    expect(svg.match(/<polyline /g)).toHaveLength(6)
    expect(svg.match(/<polyline [^>]*stroke-dasharray/g)).toHaveLength(2)
    expect(svg.match(/font-weight="bold">([^<]*)/g)).toEqual([
      'font-weight="bold">loss',
      'font-weight="bold">learning rate',
    ])
    expect(svg).toContain('>b&lt;</text>')
    // The axis begins at step 0 and ends at the last step.
    expect(svg).toMatch(/<polyline points="289\.3,[\d.]+ 506\.7,[\d.]+ 724\.0,/)
  })

  it('draws the figures that are asked for, and names those that there are', () => {
    const run = { name: 'a', records: [...records, { step: 4, loss: NaN }] }
    expect(plotCurves([run], ['learningRate']).match(/<polyline /g)).toHaveLength(1)
    expect(() => plotCurves([run], ['accuracy'])).toThrow(
      'no run has a figure "accuracy"; they have loss, learningRate, validation/loss',
    )
  })

  it('draws a long curve as means over the range of their groups', () => {
    const long = Array.from({ length: 10_000 }, (_, i) => ({ step: i + 1, loss: Math.sin(i) }))
    const svg = plotCurves([{ name: 'long', records: long }], ['loss'])
    expect(svg).toContain('<polygon ')
    expect(svg.length).toBeLessThan(30_000)
  })
})
