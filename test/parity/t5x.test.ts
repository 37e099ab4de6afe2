import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { RouterConfig } from '../../src/model/config.js'
import { verifyT5x } from '../../src/verify/t5x.js'
import { expectAgreement } from './agreement.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/t5x/${name}.safetensors`, import.meta.url))

/** T5X + Flaxformer in float32, evaluation and training: see test/fixtures/README.md. */
const cases: [name: string, params: string, router: Partial<RouterConfig>, rows: number][] = [
  ['switch_padded', 'params', {}, 172],
  ['switch_packed', 'params', {}, 172],
  ['switch_padded_mincap1', 'params', { minExpertCapacity: 1 }, 172],
  ['switch_oddtokens', 'params', { minExpertCapacity: 1 }, 172],
  ['switch_padded_ignorepad', 'params', { minExpertCapacity: 1, ignorePaddingTokens: true }, 172],
  ['top2_bpr', 'params', { selectedExperts: 2, batchPrioritized: true, zLossFactor: 0.001, minExpertCapacity: 1 }, 172],
  ['xxl_padded', 'params_xxl', {}, 182],
]

describe('T5X', () => {
  it.each(cases)(
    '%s: logits, layers, dispatch, losses, metrics and all gradients',
    async (name, params, router, count) => {
      const rows = await verifyT5x({ params: fixture(params), cases: fixture(name), router })
      expectAgreement(rows, 5e-6)
      expect(rows.length).toBe(count)
    },
  )

  it('in bfloat16: bfloat16 tensors bit for bit', async () => {
    const rows = await verifyT5x({
      params: fixture('params'),
      cases: fixture('switch_padded_bf16'),
      model: { dtype: 'bfloat16' },
    })
    expectAgreement(rows, 1e-6)
    expect(rows.length).toBe(23)
    const rounded = ['encoder/layers_0/output', 'encoder/output', 'decoder/layers_0/output']
    expectAgreement(
      rows.filter(({ tensor }) => rounded.some(name => tensor === `eval/${name}`)),
      0,
    )
  })

  it('with scanned layers, each with position biases of its own: logits and loss', async () => {
    const rows = await verifyT5x({ params: fixture('scan_params'), cases: fixture('scan_padded') })
    expectAgreement(rows, 5e-6)
    expect(rows.map(row => row.tensor)).toEqual(['eval/logits', 'eval/total_loss'])
  })

  it('reports a difference if there is one', async () => {
    const rows = await verifyT5x({
      params: fixture('params'),
      cases: fixture('switch_padded_mincap1'),
      router: { minExpertCapacity: 4 },
    })
    const failed = rows.filter(row => !row.ok).map(row => row.tensor)
    expect(failed).toContain('train/decoder/layers_1/mlp/router/dispatch_mask')
    expect(failed).toContain('train/logits')
    // Only the training capacity of the decoder is small enough to meet the minimum.
    expect(failed.filter(tensor => tensor.startsWith('eval/') || tensor.startsWith('train/encoder/'))).toEqual([])
  })
})
