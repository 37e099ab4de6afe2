import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { verifyGeneration } from '../../src/verify/generation.js'
import { loadHfFolder, verifyFolder } from '../../src/verify/hf-folder.js'
import { expectAgreement } from './agreement.js'

const root = fileURLToPath(new URL('../fixtures/fuzz', import.meta.url))

/** Random models of each family by `bench/peers/fuzz_hf.py`: see test/fixtures/README.md. */
describe.each(readdirSync(root))('the random model %s', name => {
  const folder = join(root, name)
  it('agrees with transformers in every tensor and every answer', async () => {
    const model = await loadHfFolder(folder)
    const rows = await verifyFolder(folder, { tested: model })
    expectAgreement(rows, 1e-5)
    for (const start of ['grad.', 'encoder_hidden_states.'])
      expect(rows.some(r => r.tensor.startsWith(start))).toBe(true)
    expect(existsSync(join(folder, 'generation.json'))).toBe(!name.endsWith('encoder'))
    if (name.endsWith('encoder')) return
    const answers = await verifyGeneration(folder, { own: model })
    expect(answers.filter(row => !row.ok)).toEqual([])
    expect(answers.length).toBeGreaterThan(2)
  })
})
