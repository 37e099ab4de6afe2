import { expect, it } from 'vitest'
import { withPagedExperts } from '../../test/paged-experts.js'
import { sparseModel } from '../../test/small-model.js'
import { newWeights } from '../checkpoint/weights.js'
import type { Bits } from '../checkpoint/quantize.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import { preset } from '../model/presets.js'
import { loadForInference } from './load.js'
import { decodingModel } from './row-memory.js'

const base = preset('switch-base-8')

/** What a model says when it is compiled. */
async function noticesOf(
  changes: Partial<ModelConfig>,
  chosen: Partial<RouterConfig>,
  { bits = null, isPaged = false }: { bits?: Bits | null; isPaged?: boolean },
): Promise<string[]> {
  const config = sparseModel({ dModel: 32, headDim: 16, vocabSize: 40, numExperts: 12, ...changes })
  const router = { ...base.router, ...chosen }
  const resident = await loadForInference(newWeights('test', config, router, 0), bits)
  const params = isPaged ? (await withPagedExperts(resident)).params : resident
  const notices: string[] = []
  const onNotice = (message: string): void => void notices.push(message)
  const { compiled } = await decodingModel(params, { config, router, mode: 'eval' }, { onNotice })
  for await (const _ of compiled.prepare(params));
  return notices
}

it.each<[string, Partial<RouterConfig>]>([
  ['one expert', {}],
  ['two experts', { selectedExperts: 2 }],
  ['tokens of the encoder chosen by experts', { kind: 'expertsChoose', decoderKind: 'tokensChoose' }],
  ['experts by hash', { kind: 'hash' }],
  ['a soft mixture', { kind: 'soft', decoderKind: 'tokensChoose' }],
])('one form serves all sizes: %s', async (_, router) => {
  expect(await noticesOf({}, router, {})).toEqual([])
  expect(await noticesOf({}, router, { bits: 4, isPaged: true })).toEqual([])
})

it('a model that is compiled for each size says so once', async () => {
  const [notice, ...others] = await noticesOf({ reference: 'hf' }, {}, {})
  expect(others).toEqual([])
  expect(notice).toMatch(
    /^encode_part is compiled by itself for each set of sizes of its arguments, which takes time at every new size, and memory: it computes with int32 numbers that depend on sizes: 4,84,417$/,
  )
})
