import type { Array } from '../engine/api/array.js'
import { composite } from '../engine/api/composite.js'
import * as np from '../engine/api/np.js'

export type CrossEntropy = {
  /** -log p(target). */
  loss: Array // [...]
  /** log(sum(exp(logits))), what a z-loss keeps near 0. */
  logZ: Array // [...]
}

/** Softmax cross entropy of float32 logits [..., classes] with integer targets [...], in nats, and the normalizer's logarithm. */
export const softmaxCrossEntropy: (logits: Array, targets: Array) => CrossEntropy =
  composite('softmax_cross_entropy', crossEntropyOf, {
    vjp: {
      forward: (logits, targets) => {
        const output = crossEntropyOf(logits, targets)
        return [output, { logits, targets, logZ: output.logZ }]
      },
      // d loss = p - onehot(target), d logZ = p, with p = exp(logits - logZ).
      backward: ({ logits, targets, logZ }: { logits: Array; targets: Array; logZ: Array }, ct) => {
        const p = np.exp(np.subtract(logits, column(logZ))) // [..., classes]
        const fromP = np.multiply(p, column(np.add(ct.loss, ct.logZ)))
        return [np.subtract(fromP, np.where(isTarget(logits, targets), column(ct.loss), 0)), null]
      },
    },
  })

function crossEntropyOf(logits: Array, targets: Array): CrossEntropy {
  const top = np.max(logits, { axis: -1, keepdims: true })
  const shifted = np.subtract(logits, top)
  const logSum = np.log(np.sum(np.exp(shifted), { axis: -1 }))
  const target = np.sum(np.where(isTarget(logits, targets), shifted, 0), { axis: -1 })
  return { loss: np.subtract(logSum, target), logZ: np.add(logSum, np.reshape(top, targets.shape)) }
}

const column = (x: Array): Array => np.reshape(x, [...x.shape, 1])
const isTarget = (logits: Array, targets: Array): Array => np.equal(np.arange(logits.shape[logits.ndim - 1]), column(targets)) // [..., classes]
