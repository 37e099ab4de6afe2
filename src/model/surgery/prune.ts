import { ConfigError } from '../../base/errors.js'
import { allocate } from '../../base/dtypes.js'
import { reader, sizeOf, writer } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { stackLayers } from '../config.js'
import type { ModelConfig } from '../config.js'
import type { ParameterSpec } from '../parameters.js'

/** The experts that each sparse layer keeps, in ascending order, by the layer's path: `encoder/layers_1`. */
export type KeptExperts = ReadonlyMap<string, readonly number[]>

/**
 * The configuration of a model that keeps `numExperts` experts in each layer. Throws a ConfigError if it has no more.
 */
export function prunedModel(model: ModelConfig, numExperts: number): ModelConfig {
  const layers = [...stackLayers(model, 'encoder'), ...stackLayers(model, 'decoder')]
  if (!layers.some(layer => layer.sparse))
    throw new ConfigError('this model is dense: there are no experts to choose from')
  if (!Number.isInteger(numExperts) || numExperts < 1 || numExperts >= model.numExperts)
    throw new ConfigError(
      `numExperts is ${numExperts}: the model has ${model.numExperts}, so a pruned one has at least 1 and at most ${model.numExperts - 1}`,
    )
  return { ...model, numExperts }
}

/** The `count` most used experts of each layer, from each layer's use of its experts; of equal ones, the first. */
export const mostUsed = (use: ReadonlyMap<string, readonly number[]>, count: number): KeptExperts =>
  new Map(
    Array.from(use, ([layer, shares]) => {
      const order = shares.map((_, i) => i).sort((a, b) => shares[b] - shares[a] || a - b)
      return [layer, order.slice(0, count).sort((a, b) => a - b)] as const
    }),
  )

/** The experts that the layer of a parameter keeps; undefined if the layer has none. */
export const keptOf = ({ place }: Pick<ParameterSpec, 'place'>, kept: KeptExperts): readonly number[] | undefined =>
  kept.get(`${place.stack}/layers_${place.layer}`)

/**
 * A parameter of a pruned model that is no stack of experts: of a router, the columns of the kept experts. The softmax
 * of the remaining logits is over fewer experts, so the gates of the kept ones grow.
 */
export async function prunedParameter(
  spec: ParameterSpec,
  kept: KeptExperts,
  read: (path: string) => Promise<HostTensor>,
): Promise<HostTensor> {
  const tensor = await read(spec.path)
  const experts = keptOf(spec, kept)
  const isRouter = spec.role === 'router' || spec.role === 'routerBias'
  return isRouter && experts ? columnsOf(tensor, experts) : tensor
}

/** The columns (positions of the last axis) of a tensor, in the given order. */
function columnsOf({ dtype, shape, data }: HostTensor, columns: readonly number[]): HostTensor {
  const width = shape[shape.length - 1]
  const newShape = shape.with(-1, columns.length)
  const result = allocate(dtype, sizeOf(newShape))
  const [from, to] = [reader(dtype, data), writer(dtype, result)]
  let at = 0
  for (let row = 0; row < data.length; row += width) for (const column of columns) to(at++, from(row + column))
  return { dtype, shape: newShape, data: result }
}
