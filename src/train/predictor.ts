import { padBatch, tokenize } from '../data/features.js'
import type { TokenExample } from '../data/features.js'
import type { TaskCodec } from '../data/task.js'
import { fromHost } from '../engine/api/array.js'
import { makeGreedyGenerator } from '../infer/generate.js'
import type { ModelParams } from '../model/types.js'
import type { TrainerConfig } from './trainer.js'

/** Texts to texts: what a task's model answers. `onProgress` hears how many inputs are done, before each batch. */
export type Predictor = (inputs: readonly string[], onProgress?: (done: number) => void) => Promise<string[]>

/** Inputs in one batch at most (a power of two), and what their lengths are rounded up to: few different shapes are compiled. */
const batchRows = 128
const lengthMultiple = 16

/** Greedy generation with a trained model, of at most `train.targetLength` tokens for each text. */
export function makePredictor(params: ModelParams, { model, router, train }: TrainerConfig, codec: Pick<TaskCodec, 'inputs' | 'targets' | 'prepare'>): Predictor {
  const generate = makeGreedyGenerator({ config: model, router, maxNewTokens: train.targetLength })

  async function predictBatch(examples: readonly TokenExample[], rows: number): Promise<string[]> {
    // A batch is filled up with copies: a row of padding would never end.
    const filled = Array.from({ length: rows }, (_, i) => examples[i % examples.length])
    const { encoder_input_tokens: tokens } = padBatch(filled, { inputMultiple: lengthMultiple, targetMultiple: 1 })
    const outputs = await generate(params, fromHost(tokens))
    return examples.map((_, i) => codec.targets.decode(outputs[i]))
  }

  return async (inputs, onProgress) => {
    const examples = inputs.map(input => tokenize(codec, { input: codec.prepare(input), target: '' }))
    // Of similar lengths together: little padding.
    const order = examples.map((_, i) => i).sort((a, b) => examples[a].inputs.length - examples[b].inputs.length)
    const rows = Math.min(batchRows, 2 ** Math.ceil(Math.log2(inputs.length)))
    const answers = new Array<string>(inputs.length)
    for (let start = 0; start < order.length; start += rows) {
      onProgress?.(start)
      const batch = order.slice(start, start + rows)
      const predicted = await predictBatch(batch.map(i => examples[i]), rows)
      batch.forEach((index, i) => { answers[index] = predicted[i] })
    }
    return answers
  }
}
