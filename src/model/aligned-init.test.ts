import { expect, it } from 'vitest'
import { leavesWithPaths } from '../base/pytree.js'
import * as random from '../engine/api/random.js'
import type { Tensor } from '../engine/api/tensor.js'
import { initAligned } from './aligned-init.js'
import { initParameters } from './init.js'
import { declareParameters } from './parameters.js'
import { preset } from './presets.js'

const { model, router } = preset('t5-1.0-small')
const config = {
  ...model,
  vocabSize: 10,
  dModel: 8,
  dFf: 8,
  numHeads: 4,
  headDim: 4,
  numEncoderLayers: 2,
  numDecoderLayers: 2,
} as const

it('differs from the usual initialization in the queries of the cross attention and in position biases', async () => {
  const specs = declareParameters(config, router)
  const read = async (init: typeof initAligned): Promise<Map<string, number[]>> =>
    new Map(
      await Promise.all(
        leavesWithPaths<Tensor>(init(specs, random.key(1)) as never).map(
          async ([path, value]) => [path, await value.numbers()] as const,
        ),
      ),
    )
  const [aligned, usual] = [await read(initAligned), await read(initParameters)]
  const changed = specs.map(({ path }) => path).filter(path => aligned.get(path)!.join() !== usual.get(path)!.join())
  expect(changed).toEqual([
    'encoder/relpos_bias/rel_embedding',
    'decoder/relpos_bias/rel_embedding',
    'decoder/layers_0/encoder_decoder_attention/query/kernel',
    'decoder/layers_1/encoder_decoder_attention/query/kernel',
  ])
  for (const layer of ['decoder/layers_0', 'decoder/layers_1']) {
    const key = aligned.get(`${layer}/encoder_decoder_attention/key/kernel`)!
    aligned
      .get(`${layer}/encoder_decoder_attention/query/kernel`)!
      .forEach((q, i) => expect(q).toBeCloseTo(key[i] / 2, 5))
  }
  const added = (stack: string): number[] => {
    const path = `${stack}/relpos_bias/rel_embedding`
    return aligned.get(path)!.map((value, i) => Number((value - usual.get(path)![i]).toFixed(3)))
  }
  const biases = added('encoder') // [4 heads, 32 buckets]
  // The heads look at the next token (bucket 17), at the previous one, near, and freely.
  expect([biases[17], biases.slice(0, 32).filter(x => x !== 0)]).toEqual([4, [4]])
  expect([biases[32 + 1], biases.slice(32, 64).filter(x => x !== 0)]).toEqual([4, [4]])
  expect([biases[64], biases[64 + 2], biases[64 + 17], biases[64 + 15]]).toEqual([0, -1, -0.5, -4])
  expect(biases.slice(96).every(x => x === 0)).toBe(true)
  expect([added('decoder')[1], added('decoder')[32 + 2]]).toEqual([4, 4])
})
