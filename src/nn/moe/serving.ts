import type { Array } from '../../engine/api/array.js'
import { composite } from '../../engine/api/composite.js'
import * as np from '../../engine/api/np.js'
import type { MlpParams } from '../mlp.js'
import { noNoise } from '../noise.js'
import { bitsOf, isQuantized } from '../quantized.js'
import type { Kernel, QuantizedKernel } from '../quantized.js'
import { softmax } from '../softmax.js'
import { droplessSlots } from './dispatch.js'
import { experts } from './experts.js'
import { routerLogits } from './layer.js'
import type { MoeParams } from './layer.js'
import { tokensChooseTop1 } from './router.js'

/** A sparse layer's parameters as answering reads them: for one token, a row of a kernel is one number of the result. */
export type ServedMoeParams = {
  router: MoeParams['router']
  served: { wi: Kernel; wo: Kernel } // [experts, dFf, dModel], [experts, dModel, dFf]; quantized kernels lie so anyway
}

/** Turns the experts' kernels round, where they are not yet. A gated layer, whose experts have three kernels, stays as it is. */
export function serveExperts({ router, expert }: MoeParams): MoeParams | ServedMoeParams {
  if (!('wi' in expert)) return { router, expert }
  const turned = (kernel: Kernel): Kernel => (isQuantized(kernel) ? kernel : np.swapaxes(kernel, 1, 2))
  return { router, served: { wi: turned(expert.wi.kernel), wo: turned(expert.wo.kernel) } }
}

/**
 * What `moeLayer` makes of x [batch, length, dModel] when every token is routed alone and none is dropped: the chosen expert's output
 * times its probability (Switch Transformers, equation 2). Only experts that were chosen are read.
 */
export function servedMoe({ router, served }: ServedMoeParams, x: Array): Array {
  const tokens = np.reshape(x, [-1, x.shape[2]]) // [tokens, dModel]
  const logits = routerLogits(router.router_weights.w, np.astype(tokens, 'float32')) // [tokens, experts]
  return np.reshape(np.astype(ffn(served, tokens, logits), x.dtype), x.shape) // [batch, length, dModel]
}

function ffn({ wi, wo }: ServedMoeParams['served'], x: Array, logits: Array): Array {
  // An expert's kernels are quantized both or neither (checkpoint/quantize.ts).
  if (isQuantized(wi) && isQuantized(wo)) return quantizedMoeFfn(bitsOf(wi, x.shape[1]))(np.astype(x, 'float32'), logits, wi, wo) // [tokens, dModel]
  return moeFfn(x, logits, np.astype(wi as Array, x.dtype), np.astype(wo as Array, x.dtype)) // [tokens, dModel]
}

/** A backend that knows `moe_ffn`, or `quantized_moe_ffn`, reads the chosen experts in place; here their kernels are gathered. */
const moeFfn = composite('moe_ffn', (x: Array, logits: Array, wi: Array, wo: Array): Array =>
  chosenExperts(x, logits, { wi: { kernel: np.swapaxes(wi, 1, 2) }, wo: { kernel: np.swapaxes(wo, 1, 2) } }))

const quantizedMoeFfn = (bits: number): ((x: Array, logits: Array, wi: QuantizedKernel, wo: QuantizedKernel) => Array) =>
  composite('quantized_moe_ffn', (x, logits, wi, wo) => chosenExperts(x, logits, { wi: { kernel: wi }, wo: { kernel: wo } }), { attributes: { bits } })

/** Each token's expert's output, times its probability: [tokens, dModel]. */
function chosenExperts(x: Array, logits: Array, kernels: MlpParams): Array {
  const scores = { logits: np.expandDims(logits, 0), probabilities: np.expandDims(softmax(logits), 0) } // [1, tokens, experts]
  const assignment = tokensChooseTop1.assign(scores, null, null)
  const slots = droplessSlots(assignment, np.sum(assignment.choice, { axis: [0, 1] }))
  const outputs = np.squeeze(experts(kernels, x, slots, noNoise), 1) // [tokens, dModel]
  return np.multiply(outputs, np.astype(np.reshape(assignment.gate, [-1, 1]), x.dtype)) // [tokens, dModel]
}
