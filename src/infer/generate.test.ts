import { describe, expect, it } from 'vitest'
import { newWeights } from '../checkpoint/weights.js'
import { Tensor } from '../engine/api/tensor.js'
import { setBackend } from '../engine/api/engine.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import type { CompiledWithWeights } from '../engine/compile/backend.js'
import { OnnxBackend } from '../engine/compile/onnx/backend.js'
import { nodeSessions } from '../engine/compile/onnx/node.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import { forward } from '../model/forward.js'
import { initParameters } from '../model/init.js'
import { declareParameters } from '../model/parameters.js'
import { preset } from '../model/presets.js'
import type { Batch, ModelParams } from '../model/types.js'
import { decodingModel, RowMemory } from './row-memory.js'
import { beamSearch } from './beam.js'
import { makeGenerator } from './generate.js'
import { loadForInference } from './load.js'
import { greedySearch, sampling } from './search.js'
import type { Search } from './search.js'
import { encoded } from '../../test/encoded.js'
import { smallSizes } from '../../test/small-model.js'

/**
 * For each function compiled with weights: how many weights the backend copied. 0: the function is compiled for each
 * size.
 */
const copied: number[] = []
class Recording extends OnnxBackend {
  override async compileWithWeights(
    ...args: Parameters<OnnxBackend['compileWithWeights']>
  ): Promise<CompiledWithWeights> {
    const bound = await super.compileWithWeights(...args)
    copied.push(bound.copied.length)
    return bound
  }
}
setBackend(new Recording(nodeSessions()))

const base = preset('switch-base-8')
const config: ModelConfig = {
  ...base.model,
  vocabSize: 40,
  ...smallSizes,
  numExperts: 4,
  dtype: 'float32',
  // These settings make an untrained model's answers differ: large layers, and logits that do not favour the input
  // token.
  initScale: 8,
  tiedLogits: false,
  scaleLogits: false,
}
const router: RouterConfig = base.router
const params = (of = config): ModelParams =>
  jit((key: Tensor) => initParameters(declareParameters(of, router), key))(random.key(5))
const ids = (rows: number[][]): Tensor => np.array(rows, 'int32')
const sentences = [
  [7, 12, 30, 4, 1],
  [9, 9, 21, 1],
  [35, 3, 17, 28, 6, 11, 1],
]
/** It gives the other inputs of its batch padding. */
const long = Array.from({ length: 40 }, (_, i) => 2 + ((i * 7) % 37))

describe('generation', () => {
  const maxNewTokens = 6
  const generate = makeGenerator({ config, router, maxNewTokens })
  const tokensOf = async (inputs: number[][], searches: Search[], p = params()): Promise<(readonly number[])[][]> =>
    (await generate(p, inputs, searches)).map(answers => answers.map(a => a.tokens))

  it.each([
    ['greedily', () => greedySearch({ maxNewTokens })],
    ['by sampling', () => sampling({ maxNewTokens, seed: 7 })],
    ['by beam search', () => beamSearch({ maxNewTokens, numBeams: 3, numReturned: 2 })],
  ])('does not depend on the other rows or on padding, %s', async (_, search) => {
    const together = await tokensOf(
      [...sentences, long],
      [search(), greedySearch({ maxNewTokens }), search(), search()],
    )
    expect(await tokensOf([sentences[0]], [search()])).toEqual([together[0]])
    expect(await tokensOf([sentences[2]], [search()])).toEqual([together[2]])
    expect(await tokensOf([long], [search()])).toEqual([together[3]])
    expect(new Set(together.map(String)).size).toBe(4)
  })

  it.each(['perStack', 'perLayer'] as const)(
    'gives logits that do not depend on them either, to 1e-5, and are those of a whole pass, with position biases %s',
    async relativePositionBias => {
      const options = { config: { ...config, relativePositionBias }, router, mode: 'eval' } as const
      const p = params(options.config)
      const targets = [5, 31, 8]
      const stepwise = async (inputs: number[][]): Promise<number[][]> => {
        const model = await decodingModel(p, options)
        const memory = RowMemory.empty(model, { rows: inputs.length, inputLength: 16, length: 4 })
        memory.write(
          (await encoded(model, inputs, options)).memory,
          inputs.map(({ length }, i) => ({ row: i, input: i, inputLength: length })),
        )
        const rows: number[][] = []
        for (const [i, token] of [0, ...targets].entries()) {
          const { scores } = await memory.advance(
            inputs.map(() => token),
            inputs.map(() => i),
            [0],
          )
          rows.push([...scores.logitsOf(0, 1)!])
        }
        return rows
      }
      const alone = await stepwise([sentences[0]])
      const padded = await stepwise(sentences)
      const batch: Batch = {
        encoder_input_tokens: ids([sentences[0]]),
        decoder_input_tokens: ids([[0, ...targets]]),
        decoder_target_tokens: ids([[...targets, 1]]),
        decoder_loss_weights: np.ones([1, 4]),
      }
      const whole = await jit((q: ModelParams, b: Batch) => forward(q, b, options).logits)(p, batch).numbers()
      for (const [i, row] of alone.entries()) {
        const scale = Math.max(...row.map(Math.abs))
        row.forEach((logit, v) => {
          expect(Math.abs(logit - padded[i][v])).toBeLessThan(1e-5 * scale)
          expect(Math.abs(logit - whole[i * config.vocabSize + v])).toBeLessThan(1e-5 * scale)
        })
      }
    },
  )

  const dense = { numExperts: 0, encoderSparseLayers: [], decoderSparseLayers: [] }
  it.each([
    ['a sparse model', {}, null],
    ['a dense one', dense, null],
    ['a gated dense one', { ...dense, activation: 'geluTanh', gatedActivation: true }, null],
    ['a gated sparse one', { activation: 'geluTanh', gatedActivation: true }, null],
    ['one of many experts', { numExperts: 20 }, null],
    ['one of many, gated, in 8 bits', { numExperts: 20, activation: 'geluTanh', gatedActivation: true }, 8],
    ['one that ties its logits', { tiedLogits: true }, null],
    ['a sparse one in 8 bits', {}, 8],
    ['a sparse one in 4 bits', {}, 4],
    ['a dense one in 4 bits', dense, 4],
    ['a sparse one of two experts a token, in 4 bits', {}, 4, 2],
    ['one of two of many experts a token, gated', { numExperts: 20, gatedActivation: true }, null, 2],
  ] as [string, Partial<ModelConfig>, 4 | 8 | null, number?][])(
    'has one copy of the weights, packed, for all sizes: %s',
    async (_, changes, bits, selectedExperts = 1) => {
      // Quantized kernels need at least this width.
      const model: ModelConfig = { ...config, dModel: 64, dFf: 128, headDim: 16, ...changes }
      const routing = { ...router, selectedExperts }
      const p = await loadForInference(newWeights('test', model, routing, 0), bits)
      const own = makeGenerator({ config: model, router: routing, maxNewTokens, release: true })
      const before = copied.length
      // A call without a step; sizes that are equal; sizes of 1.
      await own(p, [sentences[0]], [greedySearch({ maxNewTokens })], { signal: AbortSignal.abort() })
      const answers = [sentences, [sentences[2]], [...sentences, ...sentences]].map(inputs =>
        own(
          p,
          inputs,
          inputs.map(() => greedySearch({ maxNewTokens })),
        ),
      )
      expect((await Promise.all(answers)).map(a => a.length)).toEqual([3, 1, 6])
      expect((await answers[0]).map(([{ tokens }]) => tokens)).toEqual(
        (await answers[2]).slice(0, 3).map(([{ tokens }]) => tokens),
      )
      // The encoder and the decoder; writing rows needs no weights.
      expect(copied.slice(before).filter(n => n > 10)).toHaveLength(2)
      expect(await own(p, [], [])).toEqual([])
    },
  )

  it('ends at EOS, at the limit, or by the stopping rule', async () => {
    const p = params()
    const [[all]] = await tokensOf([sentences[0]], [greedySearch({ maxNewTokens })], p)
    expect(all.length).toBe(maxNewTokens)
    const kernel = p.decoder.logits_dense!.kernel as Tensor
    const surest = np.multiply(kernel.get(':', all[0]), 3)
    const changed: ModelParams = {
      ...p,
      decoder: { ...p.decoder, logits_dense: { kernel: kernel.at(':', 1).set(surest) } },
    }
    expect(await tokensOf([sentences[0]], [greedySearch({ maxNewTokens })], changed)).toEqual([[[1]]])
    expect(
      await tokensOf([sentences[0]], [greedySearch({ maxNewTokens, stop: tokens => tokens.length === 2 })], p),
    ).toEqual([[all.slice(0, 2)]])
  })

  it('reports every step, and ends when its signal is aborted', async () => {
    const ended = new AbortController()
    const search = greedySearch({ maxNewTokens })
    const lengths: number[] = []
    const onStep = (): void => {
      const [{ tokens }] = search.answers()
      lengths.push(tokens.length)
      if (tokens.length === 3) ended.abort()
    }
    const [[answer]] = await generate(params(), [sentences[0]], [search], { signal: ended.signal, onStep })
    expect(lengths).toEqual([1, 2, 3])
    expect(answer.tokens.length).toBe(3)
  })
})
