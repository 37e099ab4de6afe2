import { sizeOf } from '../base/host-tensor.js'
import { treeFromPaths } from '../base/pytree.js'
import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import { keyFrom, positionWords } from '../engine/api/random/keys.js'
import type { Initializer, ParameterSpec } from './parameters.js'
import type { ModelParams } from './types.js'

/**
 * New random parameters. Each is drawn from the key with its index in the declaration folded in. Outside `jit`,
 * parameters of one distribution and shape share a compiled program. Inside `jit`, everything becomes one long program.
 */
export function initParameters(specs: readonly ParameterSpec[], key: Tensor): ModelParams {
  return treeFromPaths(specs.map((spec, i) => [spec.path, initParameter(spec, i, key)])) as unknown as ModelParams
}

/** One new random parameter. `index` is its index in the declaration. */
export const initParameter = (
  { init, shape, dtype }: Pick<ParameterSpec, 'init' | 'shape' | 'dtype'>,
  index: number,
  key: Tensor,
): Tensor => np.astype(elements(init, shape, positionWords(0), index, key), dtype)

/**
 * The kernel [in, out] of one expert of a new stack of kernels [experts, in, out]: what `initParameter` gives at that
 * index of the first axis, drawn without the rest.
 */
export function initExpert(
  { init, shape: [, ...shape], dtype }: Pick<ParameterSpec, 'init' | 'shape' | 'dtype'>,
  index: number,
  expert: number,
  key: Tensor,
): Tensor {
  return np.astype(elements(init, shape, positionWords(expert * sizeOf(shape)), index, key), dtype)
}

/**
 * Some rows of the first axis of a new parameter, without the rest: what `initParameter` gives there. `shape`: that of
 * these rows. `position`: `positionWords` of their first element, which may be a traced array.
 */
export const initRows = (
  { init, dtype }: Pick<ParameterSpec, 'init' | 'dtype'>,
  shape: readonly number[],
  position: Tensor,
  index: number,
  key: Tensor,
): Tensor => np.astype(elements(init, shape, position, index, key), dtype)

/** The elements of a new parameter from a row-major position on (`positionWords`), in this shape. */
function elements(init: Initializer, shape: readonly number[], position: Tensor, index: number, key: Tensor): Tensor {
  switch (init.kind) {
    case 'ones':
      return np.ones(shape)
    case 'zeros':
      return np.zeros(shape)
    default: {
      const scale = np.array(init.kind === 'uniform' ? init.limit : init.stddev)
      return draw(key, np.array(index, 'int32'), position, scale, init.kind, shape.join())
    }
  }
}

/**
 * Random numbers of a shape times a scale. The shape is text (`3,4`), since static arguments of `jit` are compared by
 * value.
 */
const draw = jit(
  function draw(
    key: Tensor,
    index: Tensor,
    position: Tensor,
    scale: Tensor,
    kind: keyof typeof distributions,
    shape: string,
  ): Tensor {
    const from = keyFrom(random.foldIn(key, index), position)
    return np.multiply(distributions[kind](from, shape.split(',').map(Number)), scale)
  },
  { static: [4, 5] },
)

const distributions = {
  normal: (key: Tensor, shape: readonly number[]) => random.normal(key, shape),
  truncatedNormal: (key: Tensor, shape: readonly number[]) => random.truncatedNormal(key, -2, 2, shape),
  uniform: (key: Tensor, shape: readonly number[]) => random.uniform(key, shape, { minval: -1, maxval: 1 }),
}
