import { activeSize } from './parameters.js'
import type { ParameterRole, ParameterSpec } from './parameters.js'

/**
 * FLOPs (multiplications and additions) of one token's forward pass through the weight matrices: two for each weight.
 * The keys and values of cross attention are computed for input tokens. Norms, biases and lookups are not counted.
 */
export function forwardFlops(specs: readonly ParameterSpec[]): { input: number; target: number } {
  const tied = specs.some(ofDecoder) && !specs.some(({ role }) => role === 'outputProjection')
  const flops = { input: 0, target: 0 }
  for (const spec of specs) {
    const { role, place } = spec
    if (!matrixRoles.includes(role) || (role === 'embedding' && !(tied && place.stack !== 'encoder'))) continue
    const ofEncoderOutput =
      place.sublayer === 'crossAttention' && (place.projection === 'key' || place.projection === 'value')
    flops[place.stack === 'encoder' || ofEncoderOutput ? 'input' : 'target'] += 2 * activeSize(spec)
  }
  return flops
}

const ofDecoder = ({ place }: ParameterSpec): boolean => place.stack === 'decoder'

/**
 * Roles of the parameters that are factors of matrix products. The embedding is one where it also computes the logits.
 */
const matrixRoles: readonly ParameterRole[] = ['embedding', 'outputProjection', 'kernel', 'expertKernel', 'router']
