import { Encoding } from '../src/infer/encoding.js'
import type { EncodedInputs } from '../src/infer/encoding.js'
import { planEncoding } from '../src/infer/encoding-plan.js'
import type { DecodingModel } from '../src/infer/row-memory.js'
import type { ForwardOptions } from '../src/model/types.js'

/** Encodes inputs as one batch, in slices of at most `sliceOperations`. */
export async function encoded(
  model: DecodingModel,
  inputs: readonly (readonly number[])[],
  options: ForwardOptions,
  sliceOperations?: number,
): Promise<EncodedInputs & { slices: number }> {
  const requests = inputs.map(input => ({ inputs: input }))
  const encoding = new Encoding(model, requests, planEncoding(inputs, options, sliceOperations))
  for (let slices = 1; ; slices++) {
    const result = await encoding.next()
    if (result) return { ...result, slices }
  }
}
