import { ConfigError } from '../../base/errors.js'
import { allocate, isFloat } from '../../base/dtypes.js'
import { castHost, reader, sizeOf, writer } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import * as random from '../../engine/api/random.js'
import { hasSparseLayers } from '../config.js'
import type { ModelConfig } from '../config.js'
import { everyNthLayer } from '../sparse-layers.js'
import { initParameter } from '../init.js'
import type { ParameterSpec } from '../parameters.js'

/** Which layers of a dense model become sparse, and how. */
export interface UpcycleOptions {
  readonly numExperts: number
  /** As in `ModelConfig`. Default: every second layer, as in Switch. */
  readonly encoderSparseLayers?: readonly number[]
  readonly decoderSparseLayers?: readonly number[]
}

/**
 * The configuration of a dense model whose feed-forward layers become experts (sparse upcycling, Komatsuzaki et al.
 * 2022, https://arxiv.org/abs/2212.05055). Throws a ConfigError if the model is sparse already.
 */
export function upcycledModel(
  model: ModelConfig,
  {
    numExperts,
    encoderSparseLayers = everyNthLayer(model.numEncoderLayers, 2),
    decoderSparseLayers = everyNthLayer(model.numDecoderLayers, 2),
  }: UpcycleOptions,
): ModelConfig {
  if (hasSparseLayers(model)) throw new ConfigError('the model has experts already: upcycling begins with a dense one')
  if (!Number.isInteger(numExperts) || numExperts < 2)
    throw new ConfigError(`numExperts is ${numExperts}: a sparse model has at least 2 experts`)
  return { ...model, numExperts, encoderSparseLayers, decoderSparseLayers }
}

/**
 * The standard deviation of a new router's logits, for inputs that are normalised. It is large enough that tokens
 * spread over the experts, and small enough that each gate is 1 / numExperts to 5 digits.
 */
const LOGIT_STDDEV = 1e-5

/**
 * One parameter of an upcycled model. `read` reads a parameter of the dense model by its path.
 *
 * Each expert is a copy of the dense layer's kernels. A top-1 router multiplies an expert's output by its gate, the
 * softmax of the logits: about 1 / numExperts for a new router. The experts' output kernels `wo` are multiplied by
 * numExperts in exchange, so that the layer computes what the dense one did. The paper normalises the gates instead;
 * then a top-1 gate is always 1, the router gets no gradient from the task, and other programs, which know no such
 * normalisation, would compute something else.
 */
export async function upcycledParameter(
  spec: ParameterSpec,
  index: number,
  read: (path: string) => Promise<HostTensor>,
  seed: number,
): Promise<HostTensor> {
  if (spec.role === 'router') {
    const [dModel] = spec.shape
    const init = { kind: 'normal', stddev: LOGIT_STDDEV / Math.sqrt(dModel) } as const
    return initParameter({ ...spec, init }, index, random.key(seed)).data()
  }
  if (spec.role !== 'expertKernel') return read(spec.path)
  const expert = await upcycledExpert(spec, read)
  const data = allocate(spec.dtype, sizeOf(spec.shape)) as Float32Array // the cast lets set() take the expert's array
  for (let at = 0; at < data.length; at += expert.data.length) data.set(expert.data as Float32Array, at)
  return { dtype: spec.dtype, shape: spec.shape, data }
}

/** The kernel [in, out] that each expert of an upcycled layer has. */
export async function upcycledExpert(
  { dtype, shape: [numExperts, ...shape], place, path }: ParameterSpec,
  read: (path: string) => Promise<HostTensor>,
): Promise<HostTensor> {
  if (!isFloat(dtype)) throw new ConfigError(`expert kernels of type ${dtype} cannot be made`)
  const dense = castHost(await read(densePath({ path })), dtype)
  return place.projection === 'wo' ? scaled({ ...dense, shape }, numExperts) : dense
}

/** The path of the dense kernel that an expert kernel's experts are copies of. */
export const densePath = ({ path }: Pick<ParameterSpec, 'path'>): string => path.replace('/mlp/expert/', '/mlp/')

/** A tensor, each element times a factor. */
function scaled({ dtype, shape, data }: HostTensor, factor: number): HostTensor {
  const result = allocate(dtype, data.length)
  const [from, to] = [reader(dtype, data), writer(dtype, result)]
  for (let i = 0; i < data.length; i++) to(i, from(i) * factor)
  return { dtype, shape, data: result }
}
