import { withoutSparseRules } from './sparse-layers.js'

/**
 * A saved model's settings in the current spelling. Older versions had one activation `gatedGelu`, which is `geluTanh`
 * gated, neither `gatedActivation` nor `sharedEmbedding`, and rules instead of lists of sparse layers. Anything else is
 * returned as it is, for the schema to check.
 */
export function currentModel(saved: unknown): unknown {
  if (typeof saved !== 'object' || saved === null || Array.isArray(saved)) return saved
  const model = withoutSparseRules({ gatedActivation: false, sharedEmbedding: true, ...saved })
  return model.activation === 'gatedGelu' ? { ...model, activation: 'geluTanh', gatedActivation: true } : model
}
