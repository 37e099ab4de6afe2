/** The public namespace `nn`: activation functions, softmax and other functions of `jax.nn`. */
import * as np from '../engine/api/np.js'
import type { Tensor } from '../engine/api/tensor.js'
import { softmax as softmaxLast } from './softmax.js'

export * from './activations.js'
export { logsumexp, oneHot, sigmoid, tanh } from '../engine/api/np.js'

/** exp(x) / sum(exp(x)) over an axis (the last unless given), without overflow. */
export const softmax = (x: Tensor, axis = -1): Tensor => np.moveaxis(softmaxLast(np.moveaxis(x, axis, -1)), -1, axis)

/** log(softmax(x)) over an axis (the last unless given), without overflow. */
export const logSoftmax = (x: Tensor, axis = -1): Tensor => np.subtract(x, np.logsumexp(x, { axis, keepdims: true }))
