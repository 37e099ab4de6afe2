import { expect, it } from 'vitest'
import { smallSizes } from '../../../test/small-model.js'
import { leavesWithPaths, treeFromPaths } from '../../base/pytree.js'
import { bytesOf } from '../../base/host-tensor.js'
import { expertStacks, partBytes } from '../../checkpoint/experts/source.js'
import type { ExpertSource } from '../../checkpoint/experts/source.js'
import { jit } from '../../engine/api/jit.js'
import { pagedArray } from '../../engine/api/paged-array.js'
import * as random from '../../engine/api/random.js'
import { hostView } from '../../engine/api/tensor.js'
import type { Tensor } from '../../engine/api/tensor.js'
import type { ModelConfig } from '../../model/config.js'
import { initParameters } from '../../model/init.js'
import { declareParameters } from '../../model/parameters.js'
import { preset } from '../../model/presets.js'
import type { ModelParams } from '../../model/types.js'
import { ByteVocabulary } from '../../text/bytes.js'
import type { RoutedPass } from '../expert-choices.js'
import { TextGenerator } from '../text-generator.js'
import { Pager } from './pager.js'
import { turnsOf } from './trace.js'

const vocabulary = new ByteVocabulary()
const { model, router } = preset('switch-base-8')
const config: ModelConfig = {
  ...model,
  ...smallSizes,
  vocabSize: vocabulary.size,
  encoderSparseLayers: [0, 1],
  decoderSparseLayers: [0, 1],
  numExperts: 8,
  dtype: 'float32',
  initScale: 8,
}
const specs = declareParameters(config, router)

/** The experts of parameters in memory. */
async function sourceOf(params: ReadonlyMap<string, Tensor>): Promise<ExpertSource> {
  const stacks = expertStacks(specs, ({ dtype, shape }) => [
    { kind: 'kernel', dtype, shape: shape.slice(1), isTransposed: false },
  ])
  const kernels = new Map<string, Uint8Array>()
  for (const { parts } of stacks)
    for (const { parameter } of parts) kernels.set(parameter, bytesOf(await hostView(params.get(parameter)!)))
  return {
    name: 'memory',
    stacks,
    async read(stack, expert, page) {
      for (const part of stacks[stack].parts) {
        const size = partBytes(part)
        page.set(kernels.get(part.parameter)!.subarray(expert * size, (expert + 1) * size), part.offset)
      }
    },
    traffic: () => ({ disk: 0, network: 0 }),
    close: async () => undefined,
  }
}

it('a model whose experts are paged answers as in memory, in any memory, and reads what its tokens met', async () => {
  const params = jit(() => initParameters(specs, random.key(3)))()
  const entries = new Map(leavesWithPaths<Tensor>(params))
  const source = await sourceOf(entries)
  const pageBytes = source.stacks[0].bytes
  const answersOf = async (own: ModelParams, onPass?: (pass: RoutedPass) => void): Promise<string[]> => {
    const options = { config, router, maxNewTokens: 5 }
    const codec = { inputs: vocabulary, targets: vocabulary, prepare: (text: string) => text }
    const generator = new TextGenerator({ params: own, options, codec }, { onPass })
    const texts = ['hello', 'a', 'switch yard', 'four']
    return (await generator.answerAll(texts, { minNewTokens: 5 })).map(([{ tokens }]) => String(tokens))
  }
  const resident = await answersOf(params)
  for (const slots of [1, 5, 32]) {
    const pager = new Pager(source, { memory: slots * pageBytes })
    const paged = new Map(entries)
    source.stacks.forEach(({ parts }, stack) =>
      parts.forEach(({ parameter }, part) => paged.set(parameter, pagedArray(pager.pagesOf(stack), part))),
    )
    let wanted = 0
    const answers = await answersOf(treeFromPaths([...paged]) as unknown as ModelParams, pass => {
      for (const { pages } of turnsOf(pass, pager.pages)) wanted += pages.length
    })
    expect(answers).toEqual(resident)
    expect(pager.memoryBytes).toBeLessThanOrEqual(slots * pageBytes)
    const counts = pager.statistics()
    expect(counts.reduce((sum, { hits, misses }) => sum + hits + misses, 0)).toBe(wanted)
    expect(counts.some(({ hits }) => hits > 0)).toBe(slots > 1)
  }
})
