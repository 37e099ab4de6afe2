import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { openHfWeights, writeHfWeights } from '../../src/checkpoint/names/hf-folder.js'
import { openTextModel } from '../../src/open/text-model.js'
import { verifyFolder } from '../../src/verify/hf-folder.js'
import { expectAgreement } from './agreement.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/cases/${name}`, import.meta.url))

/** Models that HF transformers 5.23 saved, with its logits and the encoder's output: see test/fixtures/README.md. */
it('the vectors of an encoder alone agree with transformers, also after it is written', async () => {
  const folder = fixture('09-encoder-only')
  const rows = await verifyFolder(folder)
  expectAgreement(rows, 5e-6)
  expect(rows.length).toBe(1)
  const weights = await openHfWeights(folder)
  const written = join(await mkdtemp(join(tmpdir(), 'switchyard-encoder-')), 'model')
  await writeHfWeights(written, weights)
  const again = await openHfWeights(written)
  expect(again.model).toEqual(weights.model)
  expect(again.specs).toEqual(weights.specs)
  await Promise.all([weights.close(), again.close()])
  await expect(openTextModel(folder)).rejects.toThrow('is an encoder alone (as T5EncoderModel is) and has no decoder')
})

describe('models of every family agree with transformers', () => {
  it.each([
    ['mT5 without feed_forward_proj, which is gated-gelu', '08-activation-mt5-unsaid'],
    ['experts with exact GELU', '08-activation-switch_transformers-gelu'],
    ['gated-gelu with dense_act_fn gelu, which is exact', '08-activation-t5-gated-but-dense_act_fn-gelu'],
    ['gated SiLU', '08-activation-t5-gated-silu'],
    ['exact GELU', '08-activation-t5-gelu'],
    ['GELU in its tanh form', '08-activation-t5-gelu_new'],
    ['SiLU', '08-activation-t5-silu'],
    ['an index that lists copies of the embedding, which no shard holds', '01-index-tied-safetensors'],
    ['safetensors whose __metadata__ is null', '33-metadata-null'],
    ['UMT5, whose layers have a table of positions each', '10-umt5'],
    ['a Switch Transformer whose encoder layers 1 and 4 of 6 are sparse', 'switch-irregular'],
    ['embeddings under decoder.embed_tokens alone, and a head', '05-no-shared-decoder-name'],
    ['a head that differs although it is said to be tied', '15-tied-but-own-head'],
    ['mT5 with a head of its own, as transformers 5 saves it', '31-mt5-tf5-different'],
    ['a Switch Transformer with a head that differs', '31-switch-tie-true-different'],
    ['embeddings of the stacks that differ from each other and the head', '31-t5-embed-copies-differ'],
  ])('%s', async (_, name) => {
    const rows = await verifyFolder(fixture(name))
    expectAgreement(rows, 5e-6)
    expect(rows.length).toBe(2)
  })
})
