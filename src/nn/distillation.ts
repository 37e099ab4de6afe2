import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { logSoftmax } from './functions.js'

/**
 * The divergence of a student's probabilities from a teacher's, KL(teacher || student), in nats, from float32 logits
 * [..., classes] of both. It is the cross entropy with the teacher's probabilities as targets, minus its least possible
 * value: 0 where both agree. Its gradient is that of the cross entropy.
 *
 * Both logits are divided by the temperature first, and the result is multiplied by its square, so that the size of the
 * gradient does not depend on the temperature (Hinton et al. 2015, section 2, https://arxiv.org/abs/1503.02531).
 */
export function distillationLoss(student: Tensor, teacher: Tensor, temperature = 1): Tensor {
  const [logQ, logP] = [student, teacher].map(logits => logSoftmax(np.divide(logits, temperature))) // [..., classes]
  const divergence = np.sum(np.multiply(np.exp(logP), np.subtract(logP, logQ)), { axis: -1 }) // [...]
  return np.multiply(divergence, temperature * temperature) // [...]
}
