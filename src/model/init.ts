import { treeFromPaths } from '../base/pytree.js'
import type { Array } from '../engine/api/array.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import type { ParameterSpec } from './parameters.js'
import type { ModelParams } from './types.js'

/** New parameters, as they are declared: each from a key of its own, made of its place in the declaration. Give it to `jit`. */
export function initParameters(specs: readonly ParameterSpec[], key: Array): ModelParams {
  return treeFromPaths(specs.map((spec, i) => [spec.path, initialize(spec, random.foldIn(key, i))])) as unknown as ModelParams
}

function initialize({ init, shape, dtype }: ParameterSpec, key: Array): Array {
  switch (init.kind) {
    case 'ones': return np.ones(shape, dtype)
    case 'zeros': return np.zeros(shape, dtype)
    case 'normal': return np.astype(np.multiply(random.normal(key, shape), init.stddev), dtype)
    case 'truncatedNormal': return np.astype(np.multiply(random.truncatedNormal(key, -2, 2, shape), init.stddev), dtype)
    case 'uniform': return np.astype(random.uniform(key, shape, { minval: -init.limit, maxval: init.limit }), dtype)
  }
}
