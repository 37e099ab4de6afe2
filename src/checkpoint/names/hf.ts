/**
 * The tensor names and layouts of Hugging Face transformers' T5 and Switch Transformers, mapped from and to our
 * parameters.
 */
import type { HostTensor } from '../../base/host-tensor.js'
import type { ParameterPlace, ParameterSpec, Projection, Sublayer } from '../../model/parameters.js'
import type { CheckpointReader } from '../format.js'
import { readStack, transposeMatrix, unstackTensor } from '../layout.js'

/** The tensors of an HF file that hold one of our parameters: one tensor, or one for each expert. */
export interface HfEntry {
  readonly names: readonly string[]
  /** Whether the tensors are stacked along a new first axis, the experts'. */
  readonly stacked: boolean
  /**
   * Whether HF stores the transpose: its linear weights are [out, in], its relative position tables [buckets, heads].
   */
  readonly transposed: boolean
}

const projectionNames: Readonly<Record<Projection, string>> = {
  query: 'q',
  key: 'k',
  value: 'v',
  out: 'o',
  wi: 'wi',
  wi_0: 'wi_0',
  wi_1: 'wi_1',
  wo: 'wo',
}

/** The two kinds of models, which call the feed-forward module differently. */
export type HfFamily = 't5' | 'switch'

/** HF's tensors for one of our parameters. */
export function hfEntry(spec: Pick<ParameterSpec, 'path' | 'role' | 'place' | 'shape'>, family: HfFamily): HfEntry {
  const { role, place, shape } = spec
  const one = (name: string, transposed: boolean): HfEntry => ({ names: [name], stacked: false, transposed })
  switch (role) {
    case 'embedding':
      return one(place.stack === null ? 'shared.weight' : `${place.stack}.embed_tokens.weight`, false)
    case 'outputProjection':
      return one('lm_head.weight', true)
    case 'relativePositionBias':
      return one(`${place.stack}.block.${place.layer ?? 0}.layer.0.SelfAttention.relative_attention_bias.weight`, true)
    case 'norm':
      return place.sublayer === null
        ? one(`${place.stack}.final_layer_norm.weight`, false)
        : one(`${sublayerName(place)}.layer_norm.weight`, false)
    case 'kernel':
      return one(`${moduleName(place, family)}.${projectionNames[place.projection!]}.weight`, true)
    case 'router':
      return one(`${moduleName(place, family)}.router.classifier.weight`, true)
    case 'routerBias':
      return one(`${moduleName(place, family)}.router.classifier.bias`, false)
    case 'expertKernel': {
      const experts = `${moduleName(place, family)}.experts`
      const ofExpert = (i: number): string => `${experts}.expert_${i}.${projectionNames[place.projection!]}.weight`
      return { names: Array.from({ length: shape[0] }, (_, i) => ofExpert(i)), stacked: true, transposed: true }
    }
  }
}

/** `decoder.block.3.layer.1`: HF numbers a block's sublayers in their order. */
function sublayerName({ stack, layer, sublayer }: ParameterPlace): string {
  const order = stack === 'encoder' ? encoderSublayers : decoderSublayers
  return `${stack}.block.${layer}.layer.${order.indexOf(sublayer!)}`
}
const encoderSublayers: readonly Sublayer[] = ['selfAttention', 'feedForward']
const decoderSublayers: readonly Sublayer[] = ['selfAttention', 'crossAttention', 'feedForward']

/** `decoder.block.3.layer.1.EncDecAttention`. */
function moduleName(place: ParameterPlace, family: HfFamily): string {
  const modules: Readonly<Record<Sublayer, string>> = {
    selfAttention: 'SelfAttention',
    crossAttention: 'EncDecAttention',
    feedForward: family === 't5' ? 'DenseReluDense' : 'mlp',
  }
  return `${sublayerName(place)}.${modules[place.sublayer!]}`
}

/** The shape that each tensor of an entry has in an HF file, from our parameter's shape. */
export function hfShape(shape: readonly number[], { stacked, transposed }: HfEntry): readonly number[] {
  const part = stacked ? shape.slice(1) : shape
  return transposed ? part.toReversed() : part
}

/** The family of a file's tensors, by their names. */
export const hfFamily = (names: Iterable<string>): HfFamily =>
  [...names].some(name => name.includes('.DenseReluDense.')) ? 't5' : 'switch'

/** The tensor of one expert of a stack. */
export const expertEntry = ({ names, transposed }: HfEntry, expert: number): HfEntry => ({
  names: [names[expert]],
  stacked: false,
  transposed,
})

/** Reads one of our parameters from an HF file, in the dtype in which it is stored. */
export async function readEntry(
  reader: CheckpointReader,
  { names, stacked, transposed }: HfEntry,
): Promise<HostTensor> {
  if (stacked) return readStack(names.length, i => reader.read(names[i]), transposed)
  const tensor = await reader.read(names[0])
  return transposed ? transposeMatrix(tensor) : tensor
}

/** One of our parameters as HF's tensors. */
export function toHf(spec: ParameterSpec, tensor: HostTensor, family: HfFamily): [name: string, tensor: HostTensor][] {
  const { names, stacked, transposed } = hfEntry(spec, family)
  const parts = stacked ? unstackTensor(tensor) : [tensor]
  return names.map((name, i) => [name, transposed ? transposeMatrix(parts[i]) : parts[i]])
}
