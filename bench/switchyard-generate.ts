/**
 * Switchyard as a contestant: generates from a folder of weights, by commands on stdin. Arguments: the folder, and 8 or
 * 4 to quantize to that many bits.
 */
import type { Bits } from '../src/checkpoint/quantize.js'
import { openWeights } from '../src/open/open-weights.js'
import { makeGenerator } from '../src/infer/generate.js'
import { loadForInference } from '../src/infer/load.js'
import { minNewTokens } from '../src/infer/processors.js'
import { greedySearch } from '../src/infer/search.js'
import type { Search } from '../src/infer/search.js'
import { countParameters } from '../src/model/parameters.js'
import { useBackend } from './backend.js'
import { ENCODER_LENGTH, NEW_TOKENS, promptTokens } from './model.js'
import { serve } from './protocol.js'

await useBackend()
const [folder, bits] = process.argv.slice(2)
const begin = performance.now()
const weights = await openWeights(folder)
const params = await loadForInference(weights, bits === undefined ? null : (Number(bits) as Bits))
await weights.close()
const generate = makeGenerator({
  config: { ...weights.model, reference: 'switchyard' },
  router: weights.router,
  maxNewTokens: NEW_TOKENS,
  release: true,
})

await serve(
  { name: 'switchyard', loadSeconds: (performance.now() - begin) / 1000, parameters: countParameters(weights.specs) },
  {
    generate: async batch => {
      const prompts = promptTokens(batch, ENCODER_LENGTH)
      const start = performance.now()
      let firstSeconds = 0
      const answers = await generate(
        params,
        prompts,
        prompts.map(() => greedySearch({ maxNewTokens: NEW_TOKENS, processors: [minNewTokens(NEW_TOKENS)] })),
        {
          onStep: () => {
            if (firstSeconds === 0) firstSeconds = (performance.now() - start) / 1000
          },
        },
      )
      return {
        seconds: (performance.now() - start) / 1000,
        firstSeconds,
        tokens: answers.map(([{ tokens }]) => tokens),
      }
    },
    logits: async batch => {
      const seen: number[][] = []
      const prompts = promptTokens(batch, ENCODER_LENGTH)
      await generate(
        params,
        prompts,
        prompts.map((): Search => ({
          rows: 1,
          next: logits => {
            seen.push([...logits])
            return null
          },
          answers: () => [],
        })),
      )
      return { logits: seen }
    },
  },
)
