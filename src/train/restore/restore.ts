import { castHost } from '../../base/host-tensor.js'
import { treeFromPaths } from '../../base/pytree.js'
import type { Weights } from '../../checkpoint/weights.js'
import { fromHost } from '../../engine/api/tensor.js'
import type { Tensor } from '../../engine/api/tensor.js'
import { initParameter } from '../../model/init.js'
import type { ParameterSpec } from '../../model/parameters.js'
import type { ModelParams } from '../../model/types.js'
import type { RestorePlan } from './plan.js'

/**
 * A run's first parameters by a plan: restored in float32 (dequantized if they are stored quantized), or drawn from the
 * key as at the beginning of a run without weights. Parameters are read one by one.
 */
export async function restoreParameters(
  specs: readonly ParameterSpec[],
  { sources }: Pick<RestorePlan, 'sources'>,
  weights: Pick<Weights, 'read'>,
  key: Tensor,
): Promise<ModelParams> {
  const entries: [string, Tensor][] = []
  for (const [i, spec] of specs.entries()) {
    const source = sources.get(spec.path)
    const tensor =
      source === undefined ? initParameter(spec, i, key) : fromHost(castHost(await weights.read(source), 'float32'))
    entries.push([spec.path, tensor])
  }
  return treeFromPaths(entries) as unknown as ModelParams
}
