import { SwitchyardError } from '../base/errors.js'
import { treeMap } from '../base/pytree.js'
import type { Tree } from '../base/pytree.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { TensorTree } from '../engine/api/tracing.js'
import { valueAndGrad } from '../engine/api/transforms.js'
import { NamedSharding, P } from '../engine/program/sharding.js'
import type { Optimizer } from './optimizers/optimizer.js'
import { devicePart, shareLayouts } from './parallel/device-part.js'
import { jitOnMesh } from './parallel/jit-on-mesh.js'
import { updateFunction } from './step.js'
import type {
  Loss,
  LossWith,
  StepInputs,
  StepLayouts,
  StepMetrics,
  StepOptions,
  StepResult,
  TrainArrays,
  TrainStep,
} from './step.js'

/** The metric that says how many targets a loss is a mean over. A loss without it counts as one target. */
const WEIGHT = 'targetTokens'

/**
 * A training step that computes its batch in `parts` equal groups of rows and makes one update. It is two compiled
 * programs: one adds a part's gradients to a sum, in place; the other makes the update. (A `scan` in one program would
 * hold each sum twice, and its random numbers could not be generated in loops.)
 *
 * On several devices that make the step by collectives, each sums the gradients of its share of the loss, and the
 * update adds up those of all devices.
 *
 * Gradients and metrics are means over the parts, weighted by their numbers of targets, as T5X does: for a loss that is
 * a mean over targets, this equals the step on the whole batch. Router losses and capacities are those of each part.
 */
export function accumulatedTrainStep<B extends TensorTree>(
  lossWith: LossWith<B>,
  optimizer: Optimizer,
  clipNorm: number | null,
  parts: number,
  { onTrace, layouts }: StepOptions = {},
): (frozen: TensorTree) => TrainStep<B> {
  const isShared = layouts?.collectives ?? false
  const device = devicePart(layouts)
  const layoutsOfSums = ({ collectives, params }: StepLayouts): Tree<NamedSharding> =>
    collectives ? shareLayouts(params) : params
  /** A gradient as a part of the array that holds those of all devices. */
  const asSum = (g: Tensor): Tensor => (isShared ? np.expandDims(g, 0) : g)
  const noSums = jitOnMesh(
    function noGradients(params: TensorTree) {
      return treeMap((p: Tensor) => asSum(np.zeros(p.shape, p.dtype)), params) as TensorTree
    },
    layouts,
    on => ({ in: [on.params], out: layoutsOfSums(on) }),
  )
  /**
   * Adds part `index`'s gradients, times its weight, to `sums`; the first part overwrites them. `batch`: of all parts,
   * [parts, rows, ...].
   */
  function addGradients(
    sums: TensorTree,
    params: TensorTree,
    batch: B,
    { key, step, index }: PartScalars,
    frozen: TensorTree,
  ): { sums: TensorTree; metrics: StepMetrics } {
    const scalars = { key: device.key(key), step, index }
    const [[value, metrics], gradients] = valueAndGrad(
      (p: TensorTree) => lossOfPart(lossWith(frozen), p, batch, scalars),
      { hasAux: true },
    )(params)
    const weight = weightOf(metrics)
    const isFirst = np.equal(index, 0) // []
    const add = (sum: Tensor, g: Tensor): Tensor => np.add(np.where(isFirst, 0, sum), asSum(np.multiply(g, weight)))
    return {
      sums: treeMap(add, sums, gradients) as TensorTree,
      metrics: { ...metrics, loss: device.loss(value) },
    }
  }
  const addPart = jitOnMesh(
    addGradients,
    layouts,
    on => ({
      in: [
        layoutsOfSums(on),
        on.params,
        new NamedSharding(on.mesh, P(null, ...on.batch.spec.dims)),
        on.everywhere,
        on.frozen,
      ],
      out: { sums: layoutsOfSums(on), metrics: on.everywhere },
    }),
    { donate: [0], onTrace: program => Array.from({ length: parts }, () => onTrace?.(program)) },
  )

  const update = updateFunction(optimizer, clipNorm, device)
  function updateFromSums(
    arrays: TrainArrays,
    sums: TensorTree,
    all: StepMetrics[],
    scalars: { step: Tensor; learningRate: Tensor },
  ): StepResult {
    const metrics = combine(all)
    const inverse = np.divide(
      1,
      np.maximum(
        all.map(weightOf).reduce((a, b) => np.add(a, b)),
        1e-9,
      ),
    ) // []
    const ofShare = isShared ? treeMap((sum: Tensor) => np.squeeze(sum, 0), sums) : sums
    const means = treeMap((sum: Tensor) => np.multiply(sum, inverse), ofShare) as TensorTree
    return update(device.gradients(means), arrays, metrics, scalars)
  }
  const finish = jitOnMesh(
    updateFromSums,
    layouts,
    on => {
      const arrays = { params: on.params, optimizer: on.optimizer }
      return {
        in: [arrays, layoutsOfSums(on), on.everywhere, on.everywhere],
        out: { arrays, metrics: on.everywhere },
      }
    },
    { donate: [0] },
  )

  /** The sums of gradients. Their memory is used again in each step; their values are not. */
  let memory: TensorTree | undefined
  return frozen =>
    (arrays, { batch, key, step, learningRate }) => {
      let sums = memory ?? noSums(arrays.params)
      const all: StepMetrics[] = []
      const rows = inParts(batch, parts)
      for (let i = 0; i < parts; i++) {
        const part = addPart(sums, arrays.params, rows, { key, step, index: np.array(i, 'int32') }, frozen)
        sums = part.sums
        all.push(part.metrics)
      }
      memory = sums
      return finish(arrays, sums, all, { step, learningRate })
    }
}

/** What tells the parts of a step's batch apart. */
export type PartScalars = Pick<StepInputs<TensorTree>, 'key' | 'step'> & { index: Tensor }

/** A batch of rows [rows, ...] as parts of equally many rows [parts, rows, ...]. */
export function inParts<B extends TensorTree>(batch: B, parts: number): B {
  return treeMap((x: Tensor) => {
    const [rows, ...rest] = x.shape
    if (rows % parts !== 0)
      throw new SwitchyardError(`a batch of ${rows} rows cannot be divided into ${parts} equal parts`)
    return np.reshape(x, [parts, rows / parts, ...rest])
  }, batch) as B
}

/** The loss of part `index` of a batch [parts, rows, ...], with random numbers of its own. */
export function lossOfPart<B extends TensorTree>(
  loss: Loss<B>,
  params: TensorTree,
  batch: B,
  { key, step, index }: PartScalars,
): ReturnType<Loss<B>> {
  const rows = treeMap(
    (x: Tensor) => np.take(x, index, 0), // [rows, ...]
    batch,
  ) as B
  return loss(params, rows, random.foldIn(random.foldIn(key, step), index), step)
}

const weightOf = (metrics: StepMetrics): Tensor => metrics[WEIGHT] ?? np.ones([]) // []

/** The metrics of a whole batch from those of its parts: weighted means, and the sum of the weights. */
function combine(parts: readonly StepMetrics[]): StepMetrics {
  const weights = parts.map(weightOf)
  const total = weights.reduce((a, b) => np.add(a, b)) // []
  const mean = (name: string): Tensor =>
    np.divide(
      parts.map((metrics, i) => np.multiply(metrics[name], weights[i])).reduce((a, b) => np.add(a, b)),
      np.maximum(total, 1e-9),
    )
  return Object.fromEntries(Object.keys(parts[0]).map(name => [name, name === WEIGHT ? total : mean(name)]))
}
