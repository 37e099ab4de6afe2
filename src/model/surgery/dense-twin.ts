import type { ModelConfig } from '../config.js'

/**
 * The configuration of the dense model of the same sizes: each sparse layer has one feed-forward network of the size of
 * an expert instead. A token costs as much as with one expert (FLOP-matched, Switch Transformers, section 2).
 */
export function denseTwin(model: ModelConfig): ModelConfig {
  return { ...model, encoderSparseLayers: [], decoderSparseLayers: [], numExperts: 0 }
}
