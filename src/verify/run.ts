import { leavesWithPaths, treeFromPaths } from '../base/pytree.js'
import type { HostTensor } from '../base/host-tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import { grad } from '../engine/api/transforms.js'
import { encode, forward } from '../model/forward.js'
import type { StackOutput } from '../model/forward.js'
import { lossFunction, lossOf } from '../model/loss.js'
import type { LossOptions } from '../model/loss.js'
import type { Batch, ForwardOptions, ForwardOutput, Metrics, ModelParams } from '../model/types.js'

/** A tree of parameters from host tensors by path. */
export const paramsFromHost = (tensors: Iterable<readonly [string, HostTensor]>): ModelParams =>
  treeFromPaths([...tensors].map(([path, tensor]) => [path, np.fromHost(tensor)])) as unknown as ModelParams

/** Gradients with respect to every parameter, by path. */
export type Gradients = ReadonlyMap<string, Tensor>

export interface PassResult {
  output: ForwardOutput
  loss: Tensor
  metrics: Metrics
  /** Of the loss. */
  gradients: Gradients
}

/** Runs one forward and backward pass. */
export function runPass(params: ModelParams, batch: Batch, options: LossOptions): PassResult {
  // A compiled function returns arrays only, so the layers' names are kept outside.
  let layers: ForwardOutput['routers'] = []
  const evaluate = jit((p: ModelParams, b: Batch) => {
    const { routers, ...arrays } = forward(p, b, options)
    layers = routers
    const [loss, metrics] = lossOf({ logits: arrays.logits, routers }, b, options)
    return { arrays, records: routers.map(r => r.record), loss, metrics }
  })
  const { arrays, records, loss, metrics } = evaluate(params, batch)
  const gradients = jit(grad((p: ModelParams, b: Batch) => lossFunction(p, b, options)[0]))(params, batch)
  return {
    output: { ...arrays, routers: layers.map(({ stack, layer }, i) => ({ stack, layer, record: records[i] })) },
    loss,
    metrics,
    gradients: new Map(leavesWithPaths<Tensor>(gradients)),
  }
}

/**
 * Runs the encoder on token ids [batch, length]. With the gradient of its output [batch, length, dModel], there are
 * gradients too.
 */
export function runEncoder(
  params: ModelParams,
  tokens: Tensor,
  options: ForwardOptions,
  outputGradient?: Tensor,
): { output: StackOutput; gradients: Gradients } {
  let layers: StackOutput['routers'] = []
  const evaluate = jit((p: ModelParams, ids: Tensor) => {
    const { routers, ...arrays } = encode(p, { encoder_input_tokens: ids }, options)
    layers = routers
    return { arrays, records: routers.map(r => r.record) }
  })
  const { arrays, records } = evaluate(params, tokens)
  const product = (p: ModelParams, ids: Tensor, direction: Tensor): Tensor =>
    np.sum(np.multiply(encode(p, { encoder_input_tokens: ids }, options).output, direction))
  const gradients = outputGradient && leavesWithPaths<Tensor>(jit(grad(product))(params, tokens, outputGradient))
  return {
    output: { ...arrays, routers: layers.map(({ stack, layer }, i) => ({ stack, layer, record: records[i] })) },
    gradients: new Map(gradients),
  }
}
