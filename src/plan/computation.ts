import { stackLayers } from '../model/config.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import { forwardFlops } from '../model/flops.js'
import { declareParameters } from '../model/parameters.js'
import type { ParameterSpec } from '../model/parameters.js'
import type { BatchSize } from './slots.js'

type PerToken = ReturnType<typeof forwardFlops>

/** The operations of one token's forward pass: outside of experts, in one expert a layer, and for logits. */
export interface TokenFlops {
  readonly dense: PerToken
  readonly expert: PerToken
  readonly head: PerToken
}

/** The operations of a model's tokens, from its declared parameters. */
export function tokenFlops(model: ModelConfig, router: RouterConfig): TokenFlops {
  const specs = declareParameters(model, router)
  const isExpert = ({ role }: ParameterSpec): boolean => role === 'expertKernel'
  const isHead = ({ role }: ParameterSpec): boolean => role === 'embedding' || role === 'outputProjection'
  const outside = forwardFlops(specs.filter(spec => !isExpert(spec)))
  const dense = forwardFlops(specs.filter(spec => !isExpert(spec) && !isHead(spec)))
  return {
    dense,
    expert: forwardFlops(specs.filter(isExpert)),
    head: { input: outside.input - dense.input, target: outside.target - dense.target },
  }
}

/**
 * The multiplications and additions of the matrix products of a training step over a batch. The backward pass has two
 * products for each of the forward pass; with `remat`, layers are computed once more. The slots of experts count
 * whether a token is in them or not.
 */
export function stepFlops(
  model: ModelConfig,
  { dense, expert, head }: TokenFlops,
  { rows, inputLength, targetLength }: BatchSize,
  slots: { encoder: number; decoder: number },
  remat: boolean,
): number {
  const inputs = inputLength * (dense.input + slots.encoder * expert.input)
  const targets = targetLength * (dense.target + slots.decoder * expert.target)
  const pairs =
    stackLayers(model, 'encoder').length * inputLength ** 2 +
    stackLayers(model, 'decoder').length * targetLength * (targetLength + inputLength)
  // Each dimension of a head takes two operations for a score, and two for its share of the mixed values.
  const layers = rows * (inputs + targets + 4 * model.numHeads * model.headDim * pairs)
  const logits = rows * (inputLength * head.input + targetLength * head.target)
  return (remat ? 4 : 3) * layers + 3 * logits
}
