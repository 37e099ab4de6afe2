import { describe, expect, it } from 'vitest'
import { encoded } from '../../test/encoded.js'
import { withPagedExperts } from '../../test/paged-experts.js'
import { sparseModel } from '../../test/small-model.js'
import { castHost } from '../base/host-tensor.js'
import { newWeights } from '../checkpoint/weights.js'
import type { Bits } from '../checkpoint/quantize.js'
import { fromHost, hostView } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import * as tree from '../engine/api/tree.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import { preset } from '../model/presets.js'
import type { ForwardOptions, ModelParams } from '../model/types.js'
import { beamSearch } from './beam.js'
import { NO_TOKEN } from './decode.js'
import { makeGenerator } from './generate.js'
import { loadForInference } from './load.js'
import { decodingModel, RowMemory } from './row-memory.js'
import { greedySearch } from './search.js'

const base = preset('switch-base-8')
const config = sparseModel({
  // Quantized kernels need at least this width.
  dModel: 64,
  dFf: 128,
  headDim: 16,
  vocabSize: 40,
  numExperts: 12,
  tiedLogits: false,
  scaleLogits: false,
})
const sentences = [
  [7, 12, 30, 4, 1],
  [9, 9, 21, 1],
  [35, 3, 17, 28, 6, 11, 1],
]

/** The logits of three steps of each input. `free`: the tokens of further rows. */
async function logitsOf(
  params: ModelParams,
  of: ModelConfig,
  router: RouterConfig,
  inputs: readonly number[][],
  free: readonly number[] = [],
): Promise<number[]> {
  const options = { config: of, router, mode: 'eval' } as const
  const model = await decodingModel(params, options)
  const memory = RowMemory.empty(model, { rows: inputs.length + free.length, inputLength: 16, length: 4 })
  const { memory: ofInputs } = await encoded(model, inputs, options)
  memory.write(
    ofInputs,
    inputs.map(({ length }, i) => ({ row: i, input: i, inputLength: length })),
  )
  const logits: number[] = []
  for (const [step, token] of [0, 5, 31].entries()) {
    const steps = [...inputs.map(() => step), ...free.map(() => 0)]
    const tokens = [...inputs.map((_, row) => token + Math.floor(row / 2)), ...free]
    const { scores } = await memory.advance(
      tokens,
      steps,
      inputs.map((_, row) => row),
    )
    logits.push(...scores.logitsOf(0, inputs.length)!)
  }
  return logits
}

/** The largest difference, divided by the largest expected number. */
const difference = (expected: readonly number[], given: readonly number[]): number =>
  largest(expected.map((x, i) => x - given[i])) / largest(expected)

const largest = (numbers: readonly number[]): number => numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 0)

/** Compares encodings of a long input: in one slice, and in parts. */
async function expectSameInSlices(params: ModelParams, options: ForwardOptions, tolerance: number): Promise<void> {
  const model = await decodingModel(params, options)
  const input = Array.from({ length: 90 }, (_, i) => 2 + ((i * 7) % 37))
  const encode = async (sliceOperations?: number): Promise<[slices: number, values: number[], experts: unknown]> => {
    const { memory, experts, slices } = await encoded(model, [input], options, sliceOperations)
    const views = await Promise.all(memory.flatMap(({ keys, values }) => [keys, values]).map(hostView))
    const choices = await experts()
    return [slices, views.flatMap(({ data }) => [...(data as Float32Array)]), input.map((_, at) => choices!.of(at))]
  }
  const [[one, values, experts], [slices, inParts, expertsInParts]] = [await encode(), await encode(1)]
  // Two parts, and a slice of each for the first stage, two layers and the last stage.
  expect([one, slices]).toEqual([1, 8])
  expect(difference(values, inParts)).toBeLessThanOrEqual(tolerance)
  expect(expertsInParts).toEqual(experts)
}

const inBfloat16 = async (params: ModelParams): Promise<ModelParams> => {
  const [leaves, structure] = tree.flatten<Tensor>(params)
  return tree.unflatten(
    structure,
    await Promise.all(leaves.map(async x => fromHost(castHost(castHost(await hostView(x), 'bfloat16'), 'float32')))),
  ) as ModelParams
}

describe('experts in pages', () => {
  const [one, two] = [{ selectedExperts: 1 }, { selectedExperts: 2 }]
  const cases: [
    string,
    Partial<ModelConfig>,
    Partial<RouterConfig>,
    Bits | null,
    Parameters<typeof withPagedExperts>[1],
    number,
  ][] = [
    ['float32', {}, two, null, {}, 1e-6],
    ['gated, in bfloat16', { activation: 'geluTanh', gatedActivation: true }, two, null, { stored: 'bfloat16' }, 1e-6],
    ['stored transposed in float32', {}, two, null, { isTransposed: true }, 1e-6],
    ['int8, one expert for a token', {}, one, 8, {}, 0],
    ['int4, two experts', {}, two, 4, {}, 1e-6],
    ['gated, in int4', { activation: 'geluTanh', gatedActivation: true }, one, 4, {}, 1e-6],
    ['gated, in int8', { activation: 'gelu', gatedActivation: true }, two, 8, {}, 0],
  ]
  it.each(cases)('give the answers of the resident model: %s', async (_, changes, chosen, bits, stored, tolerance) => {
    const model = { ...config, ...changes }
    const router: RouterConfig = { ...base.router, ...chosen }
    const loaded = await loadForInference(newWeights('test', model, router, 0), bits)
    const resident = stored?.stored === 'bfloat16' ? await inBfloat16(loaded) : loaded
    const { params: paged, pages } = await withPagedExperts(resident, stored)
    expect(pages).toHaveLength(4)
    for (const params of [resident, paged])
      await expectSameInSlices(params, { config: model, router, mode: 'eval' }, tolerance)
    for (const inputs of bits ? [sentences, sentences.slice(0, 1)] : [sentences]) {
      const expected = await logitsOf(resident, model, router, inputs)
      const logits = await logitsOf(paged, model, router, inputs)
      expect(difference(expected, logits)).toBeLessThanOrEqual(tolerance)
    }

    const searches = (): ReturnType<typeof greedySearch>[] => [
      greedySearch({ maxNewTokens: 6 }),
      beamSearch({ maxNewTokens: 6, numBeams: 3, numReturned: 2 }),
      greedySearch({ maxNewTokens: 3 }),
    ]
    const answers = async (params: ModelParams): Promise<unknown> => {
      const generate = makeGenerator({ config: model, router, maxNewTokens: 6 })
      // All together; then one alone, for which broadcasts and reshapes are left out of the programs.
      const all = [
        ...(await generate(params, sentences, searches())),
        ...(await generate(params, [sentences[0]], [greedySearch({ maxNewTokens: 2 })])),
      ]
      return all.map(list => list.map(({ tokens }) => tokens))
    }
    expect(await answers(paged)).toEqual(await answers(resident))
    // An expert is fetched once for all rows of a step, and only if a row chose it.
    for (const { fetched, length } of pages)
      for (const indices of fetched) {
        expect(new Set(indices).size).toBe(indices.length)
        expect(indices.length).toBeLessThan(length + 1)
      }
  })

  it('are not read for rows without a request, which change nothing in the others', async () => {
    const { router } = base
    const resident = await loadForInference(newWeights('test', config, router, 0), 8)
    const runWith = async (free: readonly number[]): Promise<{ logits: number[]; decoderFetches: number[][] }> => {
      const { params, pages } = await withPagedExperts(resident)
      const logits = await logitsOf(params, config, router, sentences, free)
      const decoders = pages.filter(({ name }) => name.includes('decoder'))
      return { logits, decoderFetches: decoders.flatMap(({ fetched }) => fetched.map(list => [...list])) }
    }
    const alone = await runWith([])
    const besideFree = await runWith([NO_TOKEN])
    expect(besideFree).toEqual(alone)
    const besideOther = await runWith([11])
    expect(besideOther.logits).toEqual(besideFree.logits)
    expect(besideOther.decoderFetches.flat().length).toBeGreaterThan(besideFree.decoderFetches.flat().length)
  })
})
