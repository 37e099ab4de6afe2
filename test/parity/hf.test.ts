import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readTensors } from '../../src/checkpoint/format.js'
import { safetensors } from '../../src/checkpoint/safetensors.js'
import { castHost } from '../../src/base/tensor.js'
import * as np from '../../src/engine/api/np.js'
import { generate } from '../../src/infer/generate.js'
import { loadHfFolder, verifyFolder } from '../../src/train/verify/hf-folder.js'
import { expectAgreement } from './agreement.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

/** HF transformers 5.23 on torch 2.13: see /test/fixtures/README.md. */
const folders = [
  ['switch-tiny', 140], ['switch-roomy', 118], ['switch-every-layer', 88], ['switch-bf16', 76], ['t5-v1_0', 70], ['t5-v1_1', 60],
] as const

describe.each(folders)('%s', (name, count) => {
  it('agrees in logits, hidden states, routing, losses and all gradients', async () => {
    const rows = await verifyFolder(fixture(name))
    expectAgreement(rows, 5e-6)
    expect(rows.length).toBe(count)
  })

  it('generates the same tokens greedily', async () => {
    const { greedy } = JSON.parse(readFileSync(`${fixture(name)}/generation.json`, 'utf8')) as { greedy: { sequences: number[][]; args: { max_new_tokens: number } } }
    const { model, router, params } = await loadHfFolder(fixture(name))
    const reader = await safetensors.open(`${fixture(name)}/cases.safetensors`)
    const inputs = (await readTensors(reader, ['input_ids'])).get('input_ids')!
    await reader.close()
    const sequences = await generate(params, np.fromHost(castHost(inputs, 'int32')), { config: model, router, maxNewTokens: greedy.args.max_new_tokens })
    // HF starts with padding and fills up with it after EOS.
    const padded = sequences.map(tokens => [0, ...tokens, ...new Array<number>(greedy.args.max_new_tokens - tokens.length).fill(0)])
    expect(padded).toEqual(greedy.sequences)
  })
})
