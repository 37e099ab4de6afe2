import { ConfigError } from '../../base/errors.js'
import type { ModelConfig } from '../../model/config.js'
import type { Activation } from '../../nn/mlp.js'
import { listItems, quote } from '../format.js'
import type { Json } from '../json.js'

/** The names of activation functions in transformers. Several names may mean one function. */
const activations: Readonly<Record<string, Activation>> = {
  relu: 'relu',
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'geluTanh',
  gelu_pytorch_tanh: 'geluTanh',
  gelu_fast: 'geluTanh',
  gelu_accurate: 'geluTanh',
  silu: 'silu',
  swish: 'silu',
}

/** The name that `convert` writes for each of our activation functions. */
const written: Readonly<Record<Activation, string>> = {
  relu: 'relu',
  gelu: 'gelu',
  geluTanh: 'gelu_new',
  silu: 'silu',
}

/**
 * The activation function of a config.json. `dense_act_fn` wins where it is given. Otherwise it is the part of
 * `feed_forward_proj` after `gated-`, and `gated-gelu` means the tanh form; transformers' Switch Transformer reads
 * `dense_act_fn` alone. Throws a ConfigError for any other function.
 */
export function activationFromHf(config: { readonly [key: string]: Json }, path: string): Activation {
  const isGatedByDefault = config.model_type === 'mt5' || config.model_type === 'umt5'
  const projection = config.model_type === 'switch_transformers' ? null : config.feed_forward_proj
  const given = config.dense_act_fn ?? projection ?? (isGatedByDefault ? 'gated-gelu' : 'relu')
  if (given === 'gated-gelu') return 'geluTanh'
  const name = String(given).replace(/^gated-/, '')
  if (!Object.hasOwn(activations, name))
    throw new ConfigError(
      `${path}: the activation ${quote(String(given))} in config.json is not supported: ${listItems(Object.keys(activations))} are, each gated or not`,
    )
  return activations[name]
}

/** The settings of config.json that name the activation function. */
export function activationToHf({ activation, gatedActivation }: ModelConfig): { readonly [key: string]: Json } {
  const name = written[activation]
  const gatedName = activation === 'geluTanh' ? 'gated-gelu' : `gated-${name}`
  return {
    feed_forward_proj: gatedActivation ? gatedName : name,
    is_gated_act: gatedActivation,
    dense_act_fn: name,
  }
}
