import { ConfigError, FileError } from '../../base/errors.js'
import type { ModelConfig } from '../../model/config.js'
import { MIN_BUCKETS } from '../../nn/relative-bias.js'
import { quoteJson, viewOf } from '../format.js'
import type { CheckpointReader } from '../format.js'
import type { Json } from '../json.js'
import type { HfFamily } from './hf.js'
import { isTrue } from './hf-settings.js'
import type { Config } from './hf-settings.js'

/** Names that transformers' configurations also take. Where a file has both, these win. */
const otherNames: Readonly<Record<string, string>> = {
  num_layers: 'num_hidden_layers',
  num_heads: 'num_attention_heads',
  d_model: 'hidden_size',
}

/** A size that config.json gives: the key that gives it, and the number. Undefined if config.json does not say. */
function sizeAt(config: Config, name: string): { key: string; size: number } | undefined {
  const other = name === 'd_kv' && config.model_type !== 'switch_transformers' ? 'head_dim' : otherNames[name]
  const key = other !== undefined && config[other] !== undefined ? other : name
  const size = config[key] as number | undefined
  return size === undefined ? undefined : { key, size }
}

/** `encoder.block.3`, or `encoder.block.3 to encoder.block.5`. */
const blockRange = (stack: string, first: number, last: number): string =>
  first === last ? `${stack}.block.${first}` : `${stack}.block.${first} to ${stack}.block.${last}`

/**
 * The checkpoint with as many layers as config.json says. Layers beyond them are left out with a notice, as
 * transformers leaves them out. Without a number in config.json, all layers of the file are the model's. Throws a
 * FileError if layers are missing, or the whole decoder: transformers would make random ones.
 */
export function withConfiguredLayers(config: Config, reader: CheckpointReader, path: string): CheckpointReader {
  const names = reader.list().map(({ name }) => name)
  const encoder = sizeAt(config, 'num_layers')
  const decoder = sizeAt(config, (config.num_decoder_layers ?? null) === null ? 'num_layers' : 'num_decoder_layers')
  const hasDecoder = names.some(name => name.startsWith('decoder.block.'))
  if (!hasDecoder && expectsDecoder(config) && decoder?.size !== 0)
    throw new FileError(
      `${path}: config.json describes a model with a decoder (${config.architectures === undefined ? 'is_encoder_decoder' : 'architectures'}), and the file has none: copy or download it again; for an encoder alone, say "architectures": ["T5EncoderModel"]`,
    )
  const notices: string[] = []
  let kept = reader.list()
  for (const [stack, stated] of [
    ['encoder', encoder],
    ['decoder', hasDecoder ? decoder : undefined],
  ] as const) {
    if (!stated) continue
    const { key, size } = stated
    if (size === 0)
      throw new ConfigError(
        `${path}: ${key} in config.json is 0, and the file has layers of the ${stack}: say how many`,
      )
    const block = new RegExp(`^${stack}\\.block\\.(\\d+)\\.`)
    const blockOf = (name: string): number => Number(block.exec(name)?.[1] ?? -1)
    const stored = [...new Set(names.map(blockOf))].sort((a, b) => a - b).filter(at => at >= 0)
    const within = stored.filter(at => at < size)
    const missing = [...within, size].flatMap((at, i) => {
      const next = i === 0 ? 0 : within[i - 1] + 1
      return next < at ? [blockRange(stack, next, at - 1)] : []
    })
    if (missing.length > 0)
      throw new FileError(
        `${path}: ${key} in config.json is ${size}, and the file has no ${missing.slice(0, 10).join(', ')}: copy or download it again`,
      )
    const surplus = stored.filter(at => at >= size)
    if (surplus.length === 0) continue
    kept = kept.filter(({ name }) => blockOf(name) < size)
    notices.push(
      `${blockRange(stack, surplus[0], surplus[surplus.length - 1])} of the file ${surplus.length > 1 ? 'are' : 'is'} not read: ${key} in config.json is ${size}, and transformers leaves ${surplus.length > 1 ? 'them' : 'it'} out too`,
    )
  }
  if (notices.length === 0) return reader
  return viewOf(reader, { notices: [...(reader.notices ?? []), ...notices], list: () => kept })
}

/** Whether config.json says that the model has a decoder: by its classes, or else by `is_encoder_decoder`. */
function expectsDecoder({ architectures, is_encoder_decoder: flag }: Config): boolean {
  if (!Array.isArray(architectures) || architectures.length === 0) return flag === true
  return !(architectures as readonly Json[]).some(name => /Encoder|TokenClassification/.test(String(name)))
}

/**
 * Throws a ConfigError if sizes in config.json contradict those of the tensors, where transformers refuses the file or
 * makes random weights.
 */
export function checkSizes(config: Config, model: ModelConfig, family: HfFamily, path: string): void {
  if ((config.model_type === 'switch_transformers') !== (family === 'switch'))
    throw new ConfigError(
      `${path}: model_type in config.json is ${quoteJson(config.model_type)}, and the tensors are ${family === 'switch' ? "a Switch Transformer's (their names have mlp" : "a T5's (their names have DenseReluDense"}): config.json or the weights belong to another model`,
    )
  const sizes: readonly (readonly [string, number])[] = [
    ['vocab_size', model.vocabSize],
    ['d_model', model.dModel],
    ['num_heads', model.numHeads],
    ['d_kv', model.headDim],
    ['d_ff', model.dFf],
    ['relative_attention_num_buckets', model.relativePositionBuckets],
    ...(model.numExperts > 0 ? [['num_experts', model.numExperts] as const] : []),
  ]
  for (const [name, size] of sizes) {
    const stated = sizeAt(config, name)
    if (stated && stated.size !== size)
      throw new ConfigError(
        `${path}: ${stated.key} in config.json is ${stated.size}, and the tensors say ${size}: config.json or the weights belong to another model`,
      )
  }
  const positions = model.relativePositionMaxDistance
  if (model.relativePositionBuckets < MIN_BUCKETS || positions <= Math.floor(model.relativePositionBuckets / 2))
    throw new ConfigError(
      `${path}: relative_attention_max_distance is ${positions}, and the file has ${model.relativePositionBuckets} buckets of relative positions: there must be at least ${MIN_BUCKETS} buckets, and the distance must be more than half of them`,
    )
  if (config.model_type !== 'switch_transformers') checkGated(config, model, path)
}

/** Throws a ConfigError if config.json says that feed-forward layers are gated and they are not, or the reverse. */
function checkGated(config: Config, model: ModelConfig, path: string): void {
  const { is_gated_act: flag, feed_forward_proj: projection } = config
  const key = flag === undefined ? 'feed_forward_proj' : 'is_gated_act'
  if (config[key] === undefined) return
  const gated = flag === undefined ? String(projection).startsWith('gated-') : isTrue(flag)
  if (gated !== model.gatedActivation)
    throw new ConfigError(
      `${path}: ${key} in config.json is ${quoteJson(config[key])}, and the feed-forward layers of the file are ${model.gatedActivation ? 'gated (they have wi_0 and wi_1)' : 'not gated (they have one wi)'}: config.json or the weights belong to another model`,
    )
}
