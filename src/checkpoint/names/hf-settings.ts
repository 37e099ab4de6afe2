import { ConfigError, FileError } from '../../base/errors.js'
import { MAX_DISTANCE, MIN_BUCKETS } from '../../nn/relative-bias.js'
import { listItems, quoteJson } from '../format.js'
import type { Json } from '../json.js'
import { supportedTypes, unsupportedFamily } from './hf-families.js'

export type Config = { readonly [key: string]: Json }

/** What the value of a setting must be. */
interface Rule {
  /** Completes `it must be ...`. */
  readonly must: string
  readonly holds: (value: Json) => boolean
}

/** Sizes are compared with the tensors', so this is beyond any of them. */
const MOST = 2 ** 31 - 1

const whole = (least: number, most = MOST): Rule => ({
  must: `a whole number from ${least} to ${most}`,
  holds: value => Number.isInteger(value) && (value as number) >= least && (value as number) <= most,
})
const amount: Rule = {
  must: 'a finite number, 0 or more',
  holds: value => Number.isFinite(value) && (value as number) >= 0,
}
const share: Rule = {
  must: 'a number from 0 to below 1',
  holds: value => typeof value === 'number' && value >= 0 && value < 1,
}
const oneOf = (...values: readonly string[]): Rule => ({
  must: listItems(values.map(quoteJson)),
  holds: value => typeof value === 'string' && values.includes(value),
})
const flag: Rule = { must: 'true or false', holds: value => typeof value === 'boolean' }
const text: Rule = { must: 'a text', holds: value => typeof value === 'string' }
const orNull = ({ must, holds }: Rule): Rule => ({
  must: `${must}, or null`,
  holds: value => value === null || holds(value),
})

/** The settings that are read from every config.json. As in transformers 5, null is refused where no rule allows it. */
// prettier-ignore
const shared: Readonly<Record<string, Rule>> = {
  vocab_size:                      whole(1),
  d_model:                         whole(1),
  d_ff:                            whole(1),
  d_kv:                            whole(1),
  num_heads:                       whole(1),
  num_layers:                      whole(0),
  num_decoder_layers:              orNull(whole(0)),
  hidden_size:                     whole(1),
  num_attention_heads:             whole(1),
  num_hidden_layers:               whole(0),
  relative_attention_num_buckets:  whole(MIN_BUCKETS),
  relative_attention_max_distance: whole(1, MAX_DISTANCE),
  layer_norm_epsilon:              amount,
  dropout_rate:                    share,
  is_encoder_decoder:              flag,
}

/** The settings of T5, mT5 and UMT5 alone. */
const dense: Readonly<Record<string, Rule>> = { head_dim: whole(1), feed_forward_proj: text, dense_act_fn: text }

/** The settings of Switch Transformers alone. */
// prettier-ignore
const sparse: Readonly<Record<string, Rule>> = {
  num_experts:               whole(1),
  expert_capacity:           whole(1),
  num_sparse_encoder_layers: whole(0),
  num_sparse_decoder_layers: whole(0),
  encoder_sparse_step:       whole(0),
  decoder_sparse_step:       whole(0),
  router_jitter_noise:       share,
  router_aux_loss_coef:      amount,
  router_z_loss_coef:        amount,
  router_dtype:              oneOf('float32', 'float16', 'bfloat16'),
  dense_act_fn:              text,
  tie_word_embeddings:       flag,
}

/** The numbers that transformers takes where config.json does not have them. */
const defaults = {
  relative_attention_max_distance: 128,
  layer_norm_epsilon: 1e-6,
  dropout_rate: 0.1,
  expert_capacity: 64,
  router_jitter_noise: 0.01,
  router_aux_loss_coef: 0.001,
  router_z_loss_coef: 0.001,
}

/** The rules of a family's settings, by its model_type. */
const rulesOf = (type: string): Readonly<Record<string, Rule>> => ({
  ...shared,
  ...(type === 'switch_transformers' ? sparse : dense),
  ...(type === 'mt5' && { tie_word_embeddings: flag }),
})

/**
 * config.json as an object of one of T5's families, whose settings have values in their ranges. Throws an error that
 * names any other family, or a setting and its range. `path` is the folder's.
 */
export function checkedConfig(json: Json, path: string): Config {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new FileError(`${path}: config.json is not an object`)
  const config = json as Config
  const type = config.model_type
  if (type === undefined)
    throw new FileError(
      `${path}: config.json has no model_type, which says what the model is: ${supportedTypes.join(', ')}`,
    )
  if (typeof type !== 'string' || !supportedTypes.includes(type)) throw unsupportedFamily(type, path)
  for (const [key, { must, holds }] of Object.entries(rulesOf(type))) {
    const value = config[key]
    if (value === undefined || holds(value)) continue
    const remedy = Object.hasOwn(defaults, key)
      ? `leave it out for transformers' default, ${defaults[key as keyof typeof defaults]}`
      : "take the model's own config.json"
    throw new ConfigError(
      `${path}: ${key} in config.json is ${quoteJson(value)}, and must be ${must}: correct it, or ${remedy}`,
    )
  }
  return config
}

/** A number of a config.json that `checkedConfig` returned, or its default. */
export const numberOf = (config: Config, key: keyof typeof defaults): number =>
  (config[key] as number | undefined) ?? defaults[key]

/** Whether a value counts as true in Python, where an empty text, list or object is false. */
export const isTrue = (value: Json | undefined): boolean =>
  typeof value === 'object' && value !== null ? Object.keys(value).length > 0 : Boolean(value)

/** What to say of a router that transformers computes in a smaller dtype than the float32 that is used here. */
export const routerNotices = ({ router_dtype: dtype = 'float32' }: Config): string[] =>
  dtype === 'float32'
    ? []
    : [
        `the router is computed in float32, and transformers computes it in ${quoteJson(dtype)} (router_dtype in config.json): tokens with almost equal probabilities may go to other experts there`,
      ]
