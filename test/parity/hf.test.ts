import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { verifyGeneration } from '../../src/verify/generation.js'
import { verifyFolder } from '../../src/verify/hf-folder.js'
import { expectAgreement } from './agreement.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

/** HF transformers 5.23 on torch 2.13: see test/fixtures/README.md. */
const folders = [
  ['switch-tiny', 140],
  ['switch-roomy', 118],
  ['switch-every-layer', 88],
  ['switch-bf16', 76],
  ['t5-v1_0', 70],
  ['t5-v1_1', 60],
  ['t5-v1_1-untied', 61],
] as const

describe.each(folders)('%s', (name, count) => {
  it('agrees in logits, hidden states, routing, losses and all gradients', async () => {
    const rows = await verifyFolder(fixture(name))
    expectAgreement(rows, 5e-6)
    expect(rows.length).toBe(count)
  })

  it('generates the same tokens, greedily and by beam search, with every processor', async () => {
    const rows = await verifyGeneration(fixture(name))
    expect(rows.filter(row => !row.ok)).toEqual([])
    expect(rows.map(row => row.tensor)).toEqual(
      [
        'greedy',
        'beam4',
        'beam4/scores',
        'beam3_penalty',
        'beam3_penalty/scores',
        'greedy_min',
        'greedy_norepeat',
        'greedy_reppen',
      ].map(n => `generation/${n}`),
    )
  })
})
