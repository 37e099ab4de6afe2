import { treeFromPaths } from '../base/pytree.js'
import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import type { ParameterSpec } from './parameters.js'
import type { ModelParams } from './types.js'

/**
 * New random parameters. Each is drawn from the key with its index in the declaration folded in. Outside `jit`,
 * parameters of one distribution and shape share a compiled program. Inside `jit`, everything becomes one long program.
 */
export function initParameters(specs: readonly ParameterSpec[], key: Tensor): ModelParams {
  return treeFromPaths(specs.map((spec, i) => [spec.path, initParameter(spec, i, key)])) as unknown as ModelParams
}

/** One new random parameter. `index` is its index in the declaration. */
export function initParameter(
  { init, shape, dtype }: Pick<ParameterSpec, 'init' | 'shape' | 'dtype'>,
  index: number,
  key: Tensor,
): Tensor {
  switch (init.kind) {
    case 'ones':
      return np.ones(shape, dtype)
    case 'zeros':
      return np.zeros(shape, dtype)
    case 'uniform':
      return np.astype(draw(key, np.array(index, 'int32'), np.array(init.limit), init.kind, shape.join()), dtype)
    default:
      return np.astype(draw(key, np.array(index, 'int32'), np.array(init.stddev), init.kind, shape.join()), dtype)
  }
}

/**
 * Random numbers of a shape times a scale. The shape is text (`3,4`), since static arguments of `jit` are compared by
 * value.
 */
const draw = jit(
  function draw(key: Tensor, index: Tensor, scale: Tensor, kind: keyof typeof distributions, shape: string): Tensor {
    return np.multiply(distributions[kind](random.foldIn(key, index), shape.split(',').map(Number)), scale)
  },
  { static: [3, 4] },
)

const distributions = {
  normal: (key: Tensor, shape: readonly number[]) => random.normal(key, shape),
  truncatedNormal: (key: Tensor, shape: readonly number[]) => random.truncatedNormal(key, -2, 2, shape),
  uniform: (key: Tensor, shape: readonly number[]) => random.uniform(key, shape, { minval: -1, maxval: 1 }),
}
