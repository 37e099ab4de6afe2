/** The names and layouts of Hugging Face transformers' T5 and Switch Transformers, as a map from and to our own (T5X's). */
import { SwitchyardError } from '../../base/errors.js'
import type { HostTensor } from '../../base/host-tensor.js'
import type { ParameterSpec } from '../../model/parameters.js'
import type { CheckpointReader } from '../format.js'
import { readStack, transposeMatrix, unstackTensor } from '../layout.js'

/** Where one of our parameters is found: in one tensor, or stacked from one an expert. */
export interface HfEntry {
  readonly names: readonly string[]
  /** Whether an axis for the experts comes first. */
  readonly stacked: boolean
  /** HF's linear weights are [out, in], its relative position tables [buckets, heads]. */
  readonly transposed: boolean
}

const attentionNames: Record<string, [sublayer: number, name: string]> = {
  attention: [0, 'SelfAttention'],
  self_attention: [0, 'SelfAttention'],
  encoder_decoder_attention: [1, 'EncDecAttention'],
}
const projectionNames: Record<string, string> = { query: 'q', key: 'k', value: 'v', out: 'o' }
const normSublayers: Record<string, number> = {
  pre_attention_layer_norm: 0,
  pre_self_attention_layer_norm: 0,
  pre_cross_attention_layer_norm: 1,
}

/** What the feed-forward module is called: T5 and Switch Transformers differ. */
export type HfFamily = 't5' | 'switch'
const mlpName = (family: HfFamily): string => (family === 't5' ? 'DenseReluDense' : 'mlp')

/** HF's tensors for one of our parameters. Throws when HF has no name for it. */
export function hfEntry({ path, shape }: Pick<ParameterSpec, 'path' | 'shape'>, family: HfFamily): HfEntry {
  const one = (name: string, transposed = false): HfEntry => ({ names: [name], stacked: false, transposed })
  if (path === 'token_embedder/embedding') return one('shared.weight')
  if (path === 'decoder/logits_dense/kernel') return one('lm_head.weight', true)
  const [stack, layer, ...rest] = path.split('/')
  if (layer === 'relpos_bias') return one(`${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`, true)
  if (layer === `${stack}_norm`) return one(`${stack}.final_layer_norm.weight`)

  const block = `${stack}.block.${/^layers_(\d+)$/.exec(layer)?.[1]}`
  const feedForward = stack === 'encoder' ? 1 : 2
  const [module, part] = rest
  if (module.endsWith('_layer_norm'))
    return one(`${block}.layer.${normSublayers[module] ?? feedForward}.layer_norm.weight`)
  if (module in attentionNames) {
    const [sublayer, name] = attentionNames[module]
    return one(`${block}.layer.${sublayer}.${name}.${projectionNames[part]}.weight`, true)
  }
  const mlp = `${block}.layer.${feedForward}.${mlpName(family)}`
  if (part === 'router')
    return path.endsWith('/bias') ? one(`${mlp}.router.classifier.bias`) : one(`${mlp}.router.classifier.weight`, true)
  if (part === 'expert') {
    const names = Array.from({ length: shape[0] }, (_, i) => `${mlp}.experts.expert_${i}.${rest[2]}.weight`)
    return { names, stacked: true, transposed: true }
  }
  if (module === 'mlp') return one(`${mlp}.${part}.weight`, true)
  throw new SwitchyardError(`Hugging Face transformers has no tensor for ${path}`)
}

/** The shape of the tensors that hold one of our parameters: the parameter's own, or one expert's. */
export function hfShape(shape: readonly number[], { stacked, transposed }: HfEntry): readonly number[] {
  const part = stacked ? shape.slice(1) : shape
  return transposed ? part.toReversed() : part
}

/** The family of a file's tensors, by their names. */
export const hfFamily = (names: Iterable<string>): HfFamily =>
  [...names].some(name => name.includes('.DenseReluDense.')) ? 't5' : 'switch'

/** One of our parameters, from the tensors that hold it, in the dtype in which they are stored. */
export async function readEntry(
  reader: CheckpointReader,
  { names, stacked, transposed }: HfEntry,
): Promise<HostTensor> {
  if (stacked) return readStack(names.length, i => reader.read(names[i]), transposed)
  const tensor = await reader.read(names[0])
  return transposed ? transposeMatrix(tensor) : tensor
}

/** One of our parameters as HF's tensors. */
export function toHf(path: string, tensor: HostTensor, family: HfFamily): [name: string, tensor: HostTensor][] {
  const entry = hfEntry({ path, shape: tensor.shape }, family)
  const parts = entry.stacked ? unstackTensor(tensor) : [tensor]
  return entry.names.map((name, i) => [name, entry.transposed ? transposeMatrix(parts[i]) : parts[i]])
}
