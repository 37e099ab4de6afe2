/**
 * JAX's random numbers: explicit keys, and threefry2x32 in its partitionable form (jax_threefry_partitionable), in
 * which the bits of an element depend only on the key and the element's position. A key is an array uint32[2]. Use each
 * key once; `split` and `foldIn` derive new keys. Bits, keys, permutations and integers are equal to those of JAX 0.10,
 * floats are equal up to rounding.
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
