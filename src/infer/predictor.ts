import { tokenize } from '../data/features.js'
import type { TaskCodec } from '../data/task.js'
import type { ModelParams } from '../model/types.js'
import { beamSearch } from './beam.js'
import { makeGenerator } from './generate.js'
import type { GenerateOptions } from './generate.js'
import { greedySearch } from './search.js'
import type { Search } from './search.js'

/** Texts to texts: what a task's model answers. `onProgress` hears how many inputs are done, before each batch. */
export type Predictor = (inputs: readonly string[], onProgress?: (done: number) => void) => Promise<string[]>

/** Rows in one batch at most. */
const batchRows = 128

/** Answers of a trained model: greedy, or the best of beam search. */
export function makePredictor(
  params: ModelParams,
  options: GenerateOptions & { numBeams?: number },
  codec: Pick<TaskCodec, 'inputs' | 'targets' | 'prepare'>,
): Predictor {
  const { numBeams = 1, maxNewTokens } = options
  const newSearch = (): Search =>
    numBeams > 1 ? beamSearch({ maxNewTokens, numBeams }) : greedySearch({ maxNewTokens })
  const batchInputs = Math.max(1, Math.floor(batchRows / numBeams))
  const generate = makeGenerator(options)
  return async (inputs, onProgress) => {
    const tokens = inputs.map(input => tokenize(codec, { input: codec.prepare(input), target: '' }).inputs)
    // Of similar lengths together: little padding.
    const order = tokens.map((_, i) => i).sort((a, b) => tokens[a].length - tokens[b].length)
    const texts = new Array<string>(inputs.length)
    for (let start = 0; start < order.length; start += batchInputs) {
      onProgress?.(start)
      const batch = order.slice(start, start + batchInputs)
      const answers = await generate(
        params,
        batch.map(i => tokens[i]),
        batch.map(newSearch),
      )
      batch.forEach((index, i) => {
        texts[index] = codec.targets.decode(answers[i][0].tokens)
      })
    }
    return texts
  }
}
