import { Tensor } from '../engine/api/tensor.js'
import { composite } from '../engine/api/composite.js'
import * as np from '../engine/api/np.js'
import * as ops from '../engine/program/ops.js'
import { softmax } from './softmax.js'

export type CrossEntropy = {
  /** -log p(target). */
  loss: Tensor // [...]
  /** log(sum(exp(logits))), which a z-loss keeps near 0. */
  logZ: Tensor // [...]
}

/**
 * Softmax cross entropy, in nats, of float32 logits [..., classes] with integer targets [...]; and the logarithm of the
 * softmax's normalizer.
 */
export const softmaxCrossEntropy: (logits: Tensor, targets: Tensor) => CrossEntropy = composite(
  'softmax_cross_entropy',
  crossEntropyOf,
  {
    vjp: {
      forward: (logits, targets) => {
        const output = crossEntropyOf(logits, targets)
        return [output, { logits, targets }]
      },
      // d loss = p - onehot(target), d logZ = p, with p = softmax(logits).
      backward: ({ logits, targets }: { logits: Tensor; targets: Tensor }, ct) => {
        const fromP = np.multiply(softmax(logits), column(np.add(ct.loss, ct.logZ))) // [..., classes]
        return [addAtTarget(fromP, targets, np.negative(ct.loss)), null]
      },
    },
  },
)

function crossEntropyOf(logits: Tensor, targets: Tensor): CrossEntropy {
  const logZ = np.logsumexp(logits, { axis: -1 }) // [...]
  return { loss: np.subtract(logZ, atTarget(logits, targets)), logZ } // [...] each
}

const column = (x: Tensor): Tensor => np.reshape(x, [...x.shape, 1]) // [..., 1]

/** Index parameters that select one element of each row [..., classes]. */
const oneOfRow = (ndim: number): { axes: number[]; batchDims: number; mode: 'clip' } => ({
  axes: [ndim - 1],
  batchDims: ndim - 1,
  mode: 'clip',
})

const atTarget = (x: Tensor, targets: Tensor): Tensor =>
  np.reshape(new Tensor(ops.gather(x.value, column(column(targets)).value, oneOfRow(x.ndim))), targets.shape) // [...]

const addAtTarget = (x: Tensor, targets: Tensor, y: Tensor): Tensor =>
  new Tensor(ops.scatterAdd(x.value, column(column(targets)).value, column(y).value, oneOfRow(x.ndim))) // [..., classes]
