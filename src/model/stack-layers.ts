import { flatten, treeKey, treeMap } from '../base/pytree.js'
import { evalShape } from '../engine/api/eval-shape.js'
import type { TensorType } from '../engine/api/eval-shape.js'
import * as lax from '../engine/api/lax.js'
import * as np from '../engine/api/np.js'
import { remat } from '../engine/api/remat.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { Tree } from '../base/pytree.js'
import type { TensorTree } from '../engine/api/tracing.js'
import type { LayerOutput } from './layers.js'
import type { Pass } from './pass.js'

/** The arrays that one layer does not share with the other layers of its stack. */
export type OwnArrays<P> = {
  params: P
  /** The position bias; null if the layers share it. */
  bias: Tensor | null
}

/** Applies a layer to x [batch, length, dModel]. `memory`: the encoder's output, for a decoder. */
export type LayerFunction<P, M> = (own: OwnArrays<P>, x: Tensor, memory: M, pass: Pass) => LayerOutput

/**
 * Applies a stack's layers to x [batch, length, dModel], in order. Returns the output of each.
 *
 * With `scanLayers`, layers that repeat are one loop over their stacked parameters, so that the compiled program does
 * not grow with their number. A model with a sparse layer in every second place repeats two layers. The numbers are
 * those of the layers one by one, random ones too.
 */
export function runLayers<P extends TensorTree, M extends Tensor | null>(
  layers: readonly OwnArrays<P>[],
  x: Tensor,
  memory: M,
  pass: Pass,
  layer: LayerFunction<P, M>,
): LayerOutput[] {
  const outputs: LayerOutput[] = []
  const last = (): Tensor => outputs.at(-1)?.x ?? x // [batch, length, dModel]
  const apply = (own: OwnArrays<P>, input: Tensor, ofPass: Pass): LayerOutput => {
    const run = (y: Tensor, m: M): LayerOutput => layer(own, y, m, ofPass)
    return (pass.options.remat ? remat(run) : run)(input, memory)
  }
  /** Several layers, the first on `input`. */
  const block = (own: readonly OwnArrays<P>[], input: Tensor, ofPass: Pass): LayerOutput[] =>
    own.reduce<LayerOutput[]>((made, o) => [...made, apply(o, made.at(-1)?.x ?? input, ofPass)], [])

  const period = pass.options.scanLayers ? periodOf(layers) : layers.length
  const isLoop = (): boolean => layers.length - outputs.length >= 2 * period
  while (isLoop() && outputs.length <= period) {
    const rest = layers.slice(outputs.length)
    const callsOfBlock = stepCalls(rest.slice(0, period), last(), pass, block)
    // In bfloat16, the first sparse layer makes the residual float32: a loop's state cannot change its type.
    if (callsOfBlock === null) outputs.push(...block(rest.slice(0, period), last(), pass))
    else outputs.push(...loop(rest, period, callsOfBlock, last(), pass, block))
  }
  outputs.push(...block(layers.slice(outputs.length), last(), pass))
  return outputs
}

type Block<P> = (own: readonly OwnArrays<P>[], input: Tensor, pass: Pass) => LayerOutput[]

/** How many layers repeat: the least number after which the shapes of all arrays are the same again; or all layers. */
function periodOf(layers: readonly OwnArrays<TensorTree>[]): number {
  const types = layers.map(own => {
    const { leaves, def } = flatten<Tensor>(own)
    return `${treeKey(def)} ${leaves.map(a => `${a.dtype}[${a.shape}]`).join(' ')}`
  })
  const repeats = (n: number): boolean => types.every((type, i) => i < n || type === types[i - n])
  const period = types.findIndex((_, n) => n > 0 && repeats(n))
  return period < 0 ? types.length : period
}

/** How often a block calls for random numbers; null if its output has another type than its input. */
function stepCalls<P extends TensorTree>(
  own: readonly OwnArrays<P>[],
  input: Tensor,
  pass: Pass,
  block: Block<P>,
): number | null {
  const noise = pass.noise.from(0)
  const { dtype } = evalShape((y: Tensor, arrays: OwnArrays<P>[]) => block(arrays, y, { ...pass, noise }).at(-1)!.x)(
    input as unknown as Tree<TensorType>,
    own as unknown as Tree<TensorType>,
  )
  return dtype === input.dtype ? noise.calls : null
}

/** Applies as many whole blocks of `period` layers as there are, in a loop. */
function loop<P extends TensorTree>(
  layers: readonly OwnArrays<P>[],
  period: number,
  callsOfBlock: number,
  input: Tensor,
  pass: Pass,
  block: Block<P>,
): LayerOutput[] {
  const steps = Math.floor(layers.length / period)
  const first = pass.noise.calls
  const stacked = Array.from({ length: period }, (_, place) => {
    const [own, ...others] = Array.from({ length: steps }, (__, step) => layers[step * period + place])
    return treeMap<Tensor, Tensor>((...leaves) => np.stack(leaves, 0), own, ...others) as OwnArrays<P>
  })
  const [, outputs] = lax.scan(
    (y: Tensor, { own, step }: { own: OwnArrays<P>[]; step: Tensor }): [Tensor, LayerOutput[]] => {
      const noise = pass.noise.from(np.add(np.multiply(step, callsOfBlock), first))
      const made = block(own, y, { ...pass, noise })
      return [made.at(-1)!.x, made]
    },
    input,
    { own: stacked, step: np.arange(steps) },
  )
  pass.noise.skip(steps * callsOfBlock)
  return Array.from({ length: steps }, (_, step) =>
    outputs.map(output => treeMap<Tensor, Tensor>(y => rowOf(y, step), output) as LayerOutput),
  ).flat()
}

/** x[step] of x [steps, ...]. */
function rowOf(x: Tensor, step: number): Tensor {
  const row = lax.slice(
    x,
    x.shape.map((_, axis) => (axis === 0 ? step : 0)),
    x.shape.map((size, axis) => (axis === 0 ? step + 1 : size)),
  ) // [1, ...]
  return np.reshape(row, x.shape.slice(1))
}
