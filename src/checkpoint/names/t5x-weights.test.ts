import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { castHost } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { readTensors, sourceOf } from '../format.js'
import { safetensors } from '../safetensors.js'
import { t5x } from '../t5x/t5x.js'
import { readWeights } from '../weights.js'
import type { Weights } from '../weights.js'
import { t5xSource } from './t5x.js'
import { openT5xWeights, t5xNotices, writeT5xWeights } from './t5x-weights.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../../../test/fixtures/t5x/${name}`, import.meta.url))
const all = async (weights: Weights): Promise<Map<string, HostTensor>> => {
  const tensors = new Map<string, HostTensor>()
  for await (const [path, tensor] of readWeights(weights)) tensors.set(path, tensor)
  return tensors
}

describe('T5X weights', () => {
  let scratch: string
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'switchyard-t5x-weights-'))
  })
  afterAll(() => rm(scratch, { recursive: true, force: true }))

  it('are those of a Switch model, and come back as they were', async () => {
    const weights = await openT5xWeights(fixture('t5x_ckpt/f32/checkpoint_1'))
    expect(weights.model).toMatchObject({
      vocabSize: 128,
      dModel: 32,
      numExperts: 4,
      numEncoderLayers: 2,
      encoderSparseLayers: [1],
    })
    const path = join(scratch, 'checkpoint_5')
    await writeT5xWeights(path, weights, { step: 5 })
    const again = await openT5xWeights(path)
    expect({ model: again.model, router: again.router }).toEqual({ model: weights.model, router: weights.router })
    expect(await all(again)).toEqual(await all(weights))
    await again.close()
    await weights.close()
  })

  it('have no settings: those that are lost are named', async () => {
    const weights = await openT5xWeights(fixture('t5x_ckpt/f32/checkpoint_1'))
    await weights.close()
    expect(t5xNotices(weights)).toEqual([])
    const { model, router } = weights
    expect(t5xNotices({ ...weights, model: { ...model, generation: { topK: 50 } } })).toEqual([])
    expect(t5xNotices({ ...weights, model: { ...model, generation: { numBeams: 4 } } })).toHaveLength(1)
    const specialIds = { padId: 0, eosIds: [5], decoderStartId: 0 }
    const changed = { ...model, relativePositionMaxDistance: 50, layerNormEpsilon: 1e-5, specialIds }
    expect(t5xNotices({ ...weights, model: changed, router: { ...router, expertCapacity: 64 } })).toEqual([
      "the format t5x cannot hold this model's special ids and generation defaults: T5's will be read",
      "the format t5x cannot hold these settings, which will be read as T5X's: relativePositionMaxDistance 50 (read as 128), layerNormEpsilon 0.00001 (read as 0.000001), expertCapacity 64 (read as null)",
    ])
  })

  it('are not written where a custom router routes the tokens', async () => {
    const weights = await openT5xWeights(fixture('t5x_ckpt/f32/checkpoint_1'))
    const custom = { ...weights, router: { ...weights.router, custom: 'hashed' } }
    await expect(writeT5xWeights(join(scratch, 'custom'), custom)).rejects.toThrow(
      'the router "hashed" of this model is not built in',
    )
    await weights.close()
  })

  it('are stored in another dtype if that is asked for', async () => {
    const weights = await openT5xWeights(fixture('t5x_ckpt/f32/checkpoint_1'))
    const path = join(scratch, 'half')
    await writeT5xWeights(path, weights, { dtype: 'bfloat16' })
    const half = await openT5xWeights(path)
    expect(await half.read('encoder/encoder_norm/scale')).toEqual(
      castHost(await weights.read('encoder/encoder_norm/scale'), 'bfloat16'),
    )
    await expect(half.read('nothing')).rejects.toThrow('there is no parameter nothing')
    await half.close()
    await weights.close()
  })

  it('list everything that is missing, too much or of a wrong shape', async () => {
    const reader = await safetensors.open(fixture('params.safetensors'))
    const tensors = await readTensors(reader).finally(() => reader.close())
    const norm = tensors.get('encoder/encoder_norm/scale')!
    tensors.delete('decoder/layers_0/mlp/wi/kernel')
    tensors.set('encoder/encoder_norm/scale', { ...norm, shape: [2, 16] }).set('extra', norm)
    const path = join(scratch, 'broken')
    await t5x.write(path, t5xSource(sourceOf(tensors), 0))
    const error = String(await openT5xWeights(path).catch((e: unknown) => e))
    expect(error).toContain(path)
    expect(error).toContain('missing: 1 ("decoder/layers_0/mlp/wi/kernel")')
    expect(error).toContain('unexpected: 1 ("extra")')
    expect(error).toContain('encoder/encoder_norm/scale is [2,16] instead of [32]')
  })

  it('of scanned models have position biases in each layer, and come back layer by layer', async () => {
    const weights = await openT5xWeights(fixture('t5x_ckpt/scan_f32/checkpoint_7'))
    expect(weights.model).toMatchObject({
      numHeads: 4,
      relativePositionBias: 'perLayer',
      relativePositionBuckets: 32,
      numEncoderLayers: 4,
      numDecoderLayers: 4,
      encoderSparseLayers: [1, 3],
    })
    const path = join(scratch, 'checkpoint_8')
    await writeT5xWeights(path, weights)
    const again = await openT5xWeights(path)
    expect(again.model).toEqual(weights.model)
    expect(await all(again)).toEqual(await all(weights))
    await again.close()
    await weights.close()
  })
})
