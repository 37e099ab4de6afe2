import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { config, configWith, task } from '../../test/train/small-run.js'
import { parseRunConfig } from '../config/validate.js'
import type { Origin } from './restore/origin.js'
import { proveResume } from './proof.js'
import type { Proof } from './proof.js'
import { Trainer } from './trainer.js'

let run: string
beforeAll(async () => {
  run = await mkdtemp(join(tmpdir(), 'switchyard-proof-test-'))
  await (await Trainer.begin(configWith({ steps: 12, checkpointEvery: 3, logEvery: 2, keep: 2 }), { task })).run(run)
})
afterAll(() => rm(run, { recursive: true, force: true }))

const prove = (folder = run): Promise<Proof | undefined> =>
  proveResume(folder, saved => parseRunConfig(saved), { values: { task } })

describe('proveResume', () => {
  it('finds a run equal to its own continuation, in tensors, records and the position of the data', async () => {
    const seen: unknown[] = []
    const proof = await proveResume(run, saved => parseRunConfig(saved), {
      values: { task },
      onStart: (from, to, { units }) => seen.push(from, to, units.many),
      onProgress: ({ step }) => seen.push(step),
    })
    expect(proof).toMatchObject({ from: 9, to: 12, records: 2, differences: [] })
    expect(proof!.tensors).toBeGreaterThan(50)
    expect(proof!.bytes).toBeGreaterThan(10_000)
    expect(seen).toEqual([9, 12, 'pairs', 10, 11])
  })

  it('trains a run with one checkpoint from the beginning, and stops it in the middle of its schedule', async () => {
    const folder = join(run, 'stopped')
    const abort = new AbortController()
    const trainer = await Trainer.begin(config, { task })
    await trainer.run(folder, { signal: abort.signal, onProgress: () => abort.abort() })
    expect(await prove(folder)).toMatchObject({ from: 0, to: trainer.step, differences: [] })
    const from: Origin = { path: 'x', container: 'native', step: 0, optimizer: 'fresh', rules: [] }
    await expect(proveResume(folder, saved => ({ ...parseRunConfig(saved), from }))).rejects.toThrow(
      `one to compare with, and it has that of step ${trainer.step} alone: go on with it to a later step`,
    )
  })

  it('names each record that differs', async () => {
    const path = join(run, 'metrics.jsonl')
    const text = await readFile(path, 'utf8')
    const last = JSON.parse(text.trim().split('\n').at(-1)!) as { loss: number }
    await writeFile(path, text.replace(`"loss":${last.loss}`, '"loss":7'))
    const { differences } = (await prove())!
    await writeFile(path, text)
    expect(differences).toEqual([`loss of step 12 is ${last.loss}, and was 7`])
  })

  it('ends without a result when it is aborted', async () => {
    const proof = await proveResume(run, saved => parseRunConfig(saved), {
      values: { task },
      signal: AbortSignal.abort(),
    })
    expect(proof).toBeUndefined()
  })
})
