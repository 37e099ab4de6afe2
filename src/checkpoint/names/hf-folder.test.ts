import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HostTensor } from '../../base/host-tensor.js'
import { readCheckpoint, sourceOf } from '../format.js'
import { huggingface } from '../sharded.js'
import { readWeights } from '../weights.js'
import type { Weights } from '../weights.js'
import { openHfWeights, writeHfWeights } from './hf-folder.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../../../test/fixtures/${name}`, import.meta.url))
const all = async (weights: Weights): Promise<Map<string, HostTensor>> => {
  const tensors = new Map<string, HostTensor>()
  for await (const [path, tensor] of readWeights(weights)) tensors.set(path, tensor)
  return tensors
}

const tensorsOf = (folder: string): Promise<Map<string, HostTensor>> => readCheckpoint(huggingface, folder)

describe('Hugging Face weights', () => {
  let scratch: string
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'switchyard-hf-'))
  })
  afterAll(() => rm(scratch, { recursive: true, force: true }))

  it.each(['switch-tiny', 'switch-roomy', 'switch-every-layer', 'switch-bf16', 't5-v1_0', 't5-v1_1'])(
    '%s comes back as it was, written in one file or in shards',
    async name => {
      const weights = await openHfWeights(fixture(name))
      const original = await tensorsOf(fixture(name))
      for (const maxShardBytes of [undefined, 20_000]) {
        const folder = join(scratch, `${name}-${maxShardBytes}`)
        await writeHfWeights(folder, weights, { maxShardBytes })
        expect((await readdir(folder)).includes('model.safetensors.index.json')).toBe(maxShardBytes !== undefined)
        // What transformers wants to be floating point is written as such.
        expect(await readFile(join(folder, 'config.json'), 'utf8')).toMatch(/"dropout_rate": 0\.0,?\n/)
        const again = await openHfWeights(folder)
        expect({ model: again.model, router: again.router }).toEqual({ model: weights.model, router: weights.router })
        expect(await all(again)).toEqual(await all(weights))
        // A head that is tied and not scaled is written by itself: transformers 4 scales wherever it ties.
        const { tiedLogits, scaleLogits } = weights.model
        const head = tiedLogits && !scaleLogits ? [['lm_head.weight', original.get('shared.weight')] as const] : []
        expect(new Map([...(await tensorsOf(folder))].sort())).toEqual(new Map([...original, ...head].sort()))
        await again.close()
      }
      await weights.close()
    },
  )

  it('are not written where a custom router routes the tokens', async () => {
    const weights = await openHfWeights(fixture('switch-tiny'))
    const custom = { ...weights, router: { ...weights.router, custom: 'hashed' } }
    await expect(writeHfWeights(join(scratch, 'custom'), custom)).rejects.toThrow(
      'the router "hashed" of this model is not built in',
    )
    await weights.close()
  })

  it('are stored in another dtype if that is asked for', async () => {
    const weights = await openHfWeights(fixture('switch-tiny'))
    const folder = join(scratch, 'half')
    await writeHfWeights(folder, weights, { dtype: 'bfloat16' })
    const half = await openHfWeights(folder)
    expect(new Set(half.specs.map(spec => spec.dtype))).toEqual(new Set(['bfloat16']))
    await half.close()
    await weights.close()
  })

  it('list everything that is missing, too much or of a wrong shape', async () => {
    const tensors = await tensorsOf(fixture('switch-tiny'))
    const folder = join(scratch, 'broken')
    tensors.delete('encoder.final_layer_norm.weight')
    tensors.delete('decoder.block.1.layer.2.mlp.experts.expert_3.wo.weight')
    const { data } = tensors.get('encoder.block.0.layer.0.layer_norm.weight')!
    tensors
      .set('encoder.block.0.layer.0.layer_norm.weight', { dtype: 'float32', shape: [2, 16], data })
      .set('extra', tensors.get('shared.weight')!)
    await huggingface.write(folder, sourceOf(tensors), {
      files: { 'config.json': await readFile(join(fixture('switch-tiny'), 'config.json'), 'utf8') },
    })
    await expect(openHfWeights(folder)).rejects
      .toThrow(`${folder}: the tensors are not those of the model that the configuration describes
  missing: 2 ("encoder.final_layer_norm.weight", "decoder.block.1.layer.2.mlp.experts.expert_3.wo.weight")
  unexpected: 1 ("extra")
  of a wrong shape or dtype: 1 ("encoder.block.0.layer.0.layer_norm.weight is [2,16] instead of [32]")`)
  })
})
