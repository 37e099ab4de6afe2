/**
 * The four tensors of Hugging Face files that hold embeddings of tokens and the head: which of them a model computes
 * with, and which to write. A file may hold any of them, equal or different.
 */
import { dtypes } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { sameShape } from '../../engine/program/aval.js'
import type { ModelConfig } from '../../model/config.js'
import type { CheckpointReader } from '../format.js'

export const sharedName = 'shared.weight'
export const headName = 'lm_head.weight'
export const encoderName = 'encoder.embed_tokens.weight'
export const decoderName = 'decoder.embed_tokens.weight'

/** In the order in which transformers 5 looks for a table that stands in for an absent `shared`. */
export const embeddingNames: readonly string[] = [sharedName, encoderName, decoderName, headName]

/**
 * Whether an index may list a tensor that no shard holds: a copy of an embedding, for which one of the tensors that
 * transformers ties it to stands. `present`: the names in the shards. Names may have a prefix.
 */
export function isTiedCopy(name: string, present: Iterable<string>): boolean {
  const isEmbedding = (text: string): boolean => embeddingNames.some(own => text === own || text.endsWith(`.${own}`))
  return isEmbedding(name) && [...present].some(isEmbedding)
}

/** The tensors that a model's embeddings and its head are read from. Equal tensors have one name. */
export interface HfEmbeddings {
  readonly encoder: string
  readonly decoder: string
  readonly head: string
}

/**
 * The tensors that transformers 5 computes with. It ties each of them that is absent to `shared`, or to the first of
 * the others if that is absent too, and keeps those that are in the file and differ, whatever the configuration says of
 * ties. `firstEqual` names the first tensor of the same values for each name. undefined: there is none of the four.
 */
export function embeddingsOf(
  names: { has(name: string): boolean },
  firstEqual: ReadonlyMap<string, string> = new Map(),
): HfEmbeddings | undefined {
  const present = embeddingNames.filter(name => names.has(name))
  if (present.length === 0) return undefined
  const resolve = (name: string): string => {
    const found = names.has(name) ? name : present[0]
    return firstEqual.get(found) ?? found
  }
  return { encoder: resolve(encoderName), decoder: resolve(decoderName), head: resolve(headName) }
}

/** For each embedding and head of a file, the name of the first one that has the same values. */
export async function firstEqualEmbeddings(reader: CheckpointReader): Promise<Map<string, string>> {
  const infos = new Map(reader.list().map(info => [info.name, info]))
  const present = embeddingNames.filter(name => infos.has(name))
  if (present.length < 2) return new Map()
  const distinct: { name: string; tensor: HostTensor }[] = []
  const first = new Map<string, string>()
  for (const name of present) {
    const tensor = await reader.read(name)
    const equal = distinct.find(other => sameValues(other.tensor, tensor))
    first.set(name, equal?.name ?? name)
    if (!equal) distinct.push({ name, tensor })
  }
  return first
}

const sameValues = (a: HostTensor, b: HostTensor): boolean =>
  a.dtype === b.dtype && sameShape(a.shape, b.shape) && a.data.every((value, i) => value === b.data[i])

/** One tensor to write: a parameter, in HF's layout, times a factor. */
export interface WrittenEmbedding {
  readonly name: string
  /** The path of the parameter. */
  readonly path: string
  readonly factor: number
}

/** The tensors of embeddings and the head that a written file holds, and what its config.json says of them. */
export interface WrittenEmbeddings {
  readonly tensors: readonly WrittenEmbedding[]
  /** `tie_word_embeddings`, and `scale_decoder_outputs`. */
  readonly tied: boolean
  readonly scaled: boolean
}

/**
 * How to write embeddings and head so that transformers 4 and 5 compute the same. Transformers 4 scales the decoder's
 * output where the flag of ties is true, and only there, and then ties the head. So a head that is tied and scaled
 * needs no tensor; any other is written by itself, times the scale, with a flag of false. UMT5 is always scaled in
 * transformers 5, so its head is divided by the scale where the model does not scale.
 */
export function writtenEmbeddings(model: ModelConfig): WrittenEmbeddings {
  const encoderPath = model.sharedEmbedding ? 'token_embedder/embedding' : 'encoder/token_embedder/embedding'
  const decoderPath = model.sharedEmbedding ? 'token_embedder/embedding' : 'decoder/token_embedder/embedding'
  const shared = { name: sharedName, path: encoderPath, factor: 1 }
  if (model.numDecoderLayers === 0) return { tensors: [shared], tied: true, scaled: model.scaleLogits }
  if (model.sharedEmbedding && model.tiedLogits && model.scaleLogits)
    return { tensors: [shared], tied: true, scaled: true }
  const alwaysScales = model.relativePositionBias === 'perLayer'
  const scale = 1 / Math.sqrt(model.dModel)
  const head = {
    name: headName,
    path: model.tiedLogits ? decoderPath : 'decoder/logits_dense/kernel',
    factor: (model.scaleLogits ? scale : 1) / (alwaysScales ? scale : 1),
  }
  // Without a tie, a Switch Transformer of transformers 5 does not fill in the tables of the stacks.
  const stackTables =
    model.sharedEmbedding && model.numExperts === 0
      ? []
      : [
          { name: encoderName, path: encoderPath, factor: 1 },
          { name: decoderName, path: decoderPath, factor: 1 },
        ]
  return { tensors: [shared, ...stackTables, head], tied: alwaysScales, scaled: alwaysScales }
}

/**
 * What a user of a written folder must know: where only transformers 5 computes the same, and where a head that is
 * written times the scale loses bits. `headType`: the dtype in which the head is written.
 */
export function writtenNotices(model: ModelConfig, headType: DType): string[] {
  if (model.numDecoderLayers === 0) return []
  const notices: string[] = []
  if (!model.sharedEmbedding)
    notices.push(
      'the stacks have different embeddings of tokens: transformers 5 reads them, transformers 4 would use one for both',
    )
  else if (model.relativePositionBias === 'perLayer' && !(model.tiedLogits && model.scaleLogits))
    notices.push('UMT5 with a head of its own: transformers 5 reads it, transformers 4 would use the embedding instead')
  const factor = writtenEmbeddings(model).tensors.find(({ name }) => name === headName)?.factor ?? 1
  if (dtypes[headType].bytes < 4 && !Number.isInteger(Math.log2(factor)))
    notices.push(
      `the scale of the logits is part of ${headName}, whose values are rounded to ${headType} once more: its logits differ by up to a ${headType === 'float16' ? 'thousandth' : 'hundredth'} from those of the source; --dtype float32 keeps them`,
    )
  return notices
}
