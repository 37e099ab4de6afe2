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

/**
 * Softmax cross entropy with smoothed targets, minus its least possible value, as T5X (`compute_weighted_cross_entropy`
 * in t5x/losses.py): the target has probability 1 - smoothing, and each other class smoothing / (classes - 1). The loss
 * of the smoothed distribution itself is 0. Smoothing 0 gives `softmaxCrossEntropy`.
 */
export function smoothedCrossEntropy(logits: Tensor, targets: Tensor, smoothing: number): CrossEntropy {
  const { loss, logZ } = softmaxCrossEntropy(logits, targets) // [...] each
  if (smoothing === 0) return { loss, logZ }
  const classes = logits.shape[logits.ndim - 1]
  const confidence = 1 - smoothing
  const low = smoothing / (classes - 1)
  const least = -(confidence * Math.log(confidence) + (classes - 1) * low * Math.log(low + 1e-20))
  // With p the target's and q each class's negative log probability: confidence p + low (sum(q) - p).
  const fromAll = np.multiply(np.subtract(logZ, np.mean(logits, { axis: -1 })), low * classes) // [...]
  return { loss: np.subtract(np.add(np.multiply(loss, confidence - low), fromAll), least), logZ }
}

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
