import { SwitchyardError } from '../base/errors.js'
import { treeMap } from '../base/pytree.js'
import * as lax from '../engine/api/lax.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import type { TensorTree } from '../engine/api/tracing.js'
import { valueAndGrad } from '../engine/api/transforms.js'
import type { Optimizer } from './optimizers/optimizer.js'
import { updateFunction } from './step.js'
import type { Loss, StepMetrics, StepOptions, TrainStep } from './step.js'

/** The metric that says how many targets a loss is a mean over. A loss without it counts as one target. */
const WEIGHT = 'targetTokens'

/**
 * A training step that computes its batch in `parts` equal groups of rows and makes one update. It is two compiled
 * programs: one adds a part's gradients to a sum, in place; the other makes the update. (A `scan` in one program would
 * hold each sum twice, and its random numbers could not be generated in loops.)
 *
 * Gradients and metrics are means over the parts, weighted by their numbers of targets, as T5X does: for a loss that is
 * a mean over targets, this equals the step on the whole batch. Router losses and capacities are those of each part.
 */
export function accumulatedTrainStep<B extends TensorTree>(
  loss: Loss<B>,
  optimizer: Optimizer,
  clipNorm: number | null,
  parts: number,
  { onTrace, layouts }: StepOptions = {},
): TrainStep<B> {
  const partLoss = lossOfPart(loss, parts)
  /** Adds part `index`'s gradients, times its weight, to `sums`; the first part overwrites them. */
  const addPart = jit(
    function addGradients(sums: TensorTree, params: TensorTree, batch: B, key: Tensor, step: Tensor, index: Tensor) {
      const [[value, metrics], gradients] = valueAndGrad((p: TensorTree) => partLoss(p, batch, { key, step }, index), {
        hasAux: true,
      })(params)
      const weight = weightOf(metrics)
      const isFirst = np.equal(index, 0) // []
      const add = (sum: Tensor, g: Tensor): Tensor => np.add(np.where(isFirst, 0, sum), np.multiply(g, weight))
      return { sums: treeMap(add, sums, gradients), metrics: { ...metrics, loss: value } }
    },
    {
      donate: [0],
      onTrace: program => Array.from({ length: parts }, () => onTrace?.(program)),
      ...(layouts && {
        inShardings: [layouts.params, layouts.params, layouts.batch, null, null, null],
        outShardings: { sums: layouts.params, metrics: layouts.everywhere },
      }),
    },
  )

  const update = updateFunction(optimizer, clipNorm)
  const finish = jit(
    function updateFromSums(
      { params, optimizer: state }: { params: TensorTree; optimizer: TensorTree },
      sums: TensorTree,
      all: StepMetrics[],
      scalars: { step: Tensor; learningRate: Tensor },
    ) {
      const metrics = combine(all)
      const inverse = np.divide(
        1,
        np.maximum(
          all.map(weightOf).reduce((a, b) => np.add(a, b)),
          1e-9,
        ),
      ) // []
      const gradients = treeMap((sum: Tensor) => np.multiply(sum, inverse), sums)
      return update(gradients, { params, optimizer: state }, metrics, scalars)
    },
    {
      donate: [0],
      ...(layouts && {
        inShardings: [{ params: layouts.params, optimizer: layouts.optimizer }, layouts.params, null, null],
        outShardings: {
          arrays: { params: layouts.params, optimizer: layouts.optimizer },
          metrics: layouts.everywhere,
        },
      }),
    },
  )

  /** The sums of gradients. Their memory is used again in each step; their values are not. */
  let memory: TensorTree | undefined
  return (arrays, { batch, key, step, learningRate }) => {
    let sums = memory ?? treeMap((p: Tensor) => np.zeros(p.shape, p.dtype), arrays.params)
    const all: StepMetrics[] = []
    for (let i = 0; i < parts; i++) {
      const part = addPart(sums, arrays.params, batch, key, step, np.array(i, 'int32'))
      sums = part.sums as TensorTree
      all.push(part.metrics)
    }
    memory = sums
    return finish(arrays, sums, all, { step, learningRate })
  }
}

/** The loss of part `index` of a batch, with random numbers of its own. */
export const lossOfPart =
  <B extends TensorTree>(loss: Loss<B>, parts: number) =>
  (params: TensorTree, batch: B, { key, step }: { key: Tensor; step: Tensor }, index: Tensor): ReturnType<Loss<B>> =>
    loss(params, rowsOfPart(batch, parts, index), random.foldIn(random.foldIn(key, step), index), step)

/** The rows of part `index` of a batch whose arrays all begin with the axis of rows. */
function rowsOfPart<B extends TensorTree>(batch: B, parts: number, index: Tensor): B {
  const part = (x: Tensor): Tensor => {
    const [rows, ...rest] = x.shape
    if (rows % parts !== 0)
      throw new SwitchyardError(`a batch of ${rows} rows cannot be divided into ${parts} equal parts`)
    const size = rows / parts
    return lax.dynamicSlice(x, [np.multiply(index, size), ...rest.map(() => 0)], [size, ...rest])
  }
  return treeMap(part, batch) as B
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
