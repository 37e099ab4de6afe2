import { leavesWithPaths, treeFromPaths } from '../base/pytree.js'
import type { HostTensor } from '../base/host-tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import { grad, valueAndGrad } from '../engine/api/transforms.js'
import { encode, forward } from '../model/forward.js'
import type { StackOutput } from '../model/forward.js'
import type { EncoderBatch } from '../model/masks.js'
import { lossOf } from '../model/loss.js'
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
  /** Of the loss. Empty without a backward pass. */
  gradients: Gradients
}

/** Runs a forward pass and, unless `withGradients` is false, a backward pass. */
export function runPass(params: ModelParams, batch: Batch, options: LossOptions, withGradients = true): PassResult {
  // A compiled function returns arrays only, so the layers' names are kept outside.
  let layers: ForwardOutput['routers'] = []
  const evaluate = (p: ModelParams, b: Batch) => {
    const { routers, ...arrays } = forward(p, b, options)
    layers = routers
    const [loss, metrics] = lossOf({ logits: arrays.logits, routers }, b, options)
    return [loss, { arrays, records: routers.map(r => r.record), metrics }] as const
  }
  const [[loss, { arrays, records, metrics }], gradients] = withGradients
    ? jit(valueAndGrad(evaluate, { hasAux: true }))(params, batch)
    : [jit(evaluate)(params, batch), undefined]
  return {
    output: { ...arrays, routers: layers.map(({ stack, layer }, i) => ({ stack, layer, record: records[i] })) },
    loss,
    metrics,
    gradients: new Map(gradients && leavesWithPaths<Tensor>(gradients)),
  }
}

/**
 * Runs the encoder on a batch. With the gradient of its output [batch, length, dModel], there are
 * gradients too.
 */
export function runEncoder(
  params: ModelParams,
  batch: EncoderBatch,
  options: ForwardOptions,
  outputGradient?: Tensor,
): { output: StackOutput; gradients: Gradients } {
  let layers: StackOutput['routers'] = []
  const evaluate = jit((p: ModelParams, b: EncoderBatch) => {
    const { routers, ...arrays } = encode(p, b, options)
    layers = routers
    return { arrays, records: routers.map(r => r.record) }
  })
  const { arrays, records } = evaluate(params, batch)
  const product = (p: ModelParams, b: EncoderBatch, direction: Tensor): Tensor =>
    np.sum(np.multiply(encode(p, b, options).output, direction))
  const gradients = outputGradient && leavesWithPaths<Tensor>(jit(grad(product))(params, batch, outputGradient))
  return {
    output: { ...arrays, routers: layers.map(({ stack, layer }, i) => ({ stack, layer, record: records[i] })) },
    gradients: new Map(gradients),
  }
}
