/**
 * JAX's random numbers: explicit keys and threefry2x32 in its partitionable form, in which an element's bits depend on its
 * position alone. A key is an array uint32[2]. Use a key once; `split` and `foldIn` make more. Bits, keys, permutations and
 * integers are equal to JAX 0.10's, floats to rounding.
 */
export { bits, foldIn, key, split, splitKeys } from './random/keys.js'
export {
  cauchy,
  exponential,
  gumbel,
  laplace,
  logistic,
  multivariateNormal,
  normal,
  truncatedNormal,
  uniform,
} from './random/continuous.js'
export { beta, dirichlet, gamma, loggamma } from './random/gamma.js'
export { bernoulli, categorical, poisson, rademacher, randint } from './random/discrete.js'
export { choice, permutation } from './random/choice.js'
export type { ChoiceOptions } from './random/choice.js'
