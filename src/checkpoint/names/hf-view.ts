import { castHost } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import type { ParameterSpec } from '../../model/parameters.js'
import type { CheckpointReader, TensorInfo } from '../format.js'
import { readTransposed } from '../weights.js'
import type { Weights } from '../weights.js'
import { decoderName, encoderName, headName, sharedName } from './hf-embeddings.js'
import { hfEntry, hfShape } from './hf.js'
import type { HfEntry, HfFamily } from './hf.js'

/** Reads one of HF's tensors for a parameter: `entry.names[index]`. Of a stack of experts, one expert is read. */
export async function readAsHf(
  weights: Weights,
  path: string,
  { stacked, transposed }: HfEntry,
  index: number,
): Promise<HostTensor> {
  const expert = stacked ? index : undefined
  if (transposed) return readTransposed(weights, path, expert)
  return expert === undefined ? weights.read(path) : weights.readExpert(path, expert)
}

/**
 * Weights of any format as tensors with Hugging Face's names and layouts, in float32. All embeddings and the head are
 * listed, also where they are one parameter.
 */
export function hfView(weights: Weights, family: HfFamily): CheckpointReader {
  const places = new Map<string, { spec: ParameterSpec; index: number }>()
  const infos: TensorInfo[] = []
  const add = (name: string, spec: ParameterSpec, index = 0): void => {
    places.set(name, { spec, index })
    infos.push({ name, dtype: 'float32', shape: hfShape(spec.shape, hfEntry(spec, family)) })
  }
  for (const spec of weights.specs)
    if (spec.role !== 'embedding' && spec.role !== 'outputProjection')
      hfEntry(spec, family).names.forEach((name, i) => add(name, spec, i))
  const { numDecoderLayers } = weights.model
  const embedding = (stack: 'encoder' | 'decoder'): ParameterSpec =>
    weights.specs.find(({ role, place }) => role === 'embedding' && (place.stack ?? stack) === stack)!
  add(sharedName, embedding('encoder'))
  add(encoderName, embedding('encoder'))
  if (numDecoderLayers > 0) {
    add(decoderName, embedding('decoder'))
    add(headName, weights.specs.find(({ role }) => role === 'outputProjection') ?? embedding('decoder'))
  }

  return {
    path: weights.path,
    metadata: new Map(),
    list: () => infos,
    read: async name => {
      const { spec, index } = places.get(name)!
      return castHost(await readAsHf(weights, spec.path, hfEntry(spec, family), index), 'float32')
    },
    close: () => weights.close(),
  }
}
