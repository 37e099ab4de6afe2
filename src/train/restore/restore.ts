import { castHost, concatenateHost } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { lastPromise } from '../../base/promise-cache.js'
import { treeFromPaths } from '../../base/pytree.js'
import type { Weights } from '../../checkpoint/weights.js'
import { fromPartsOnMesh } from '../../engine/api/mesh.js'
import { fromHost } from '../../engine/api/tensor.js'
import type { Tensor } from '../../engine/api/tensor.js'
import { partAt } from '../../engine/compile/parts.js'
import { sameShape } from '../../engine/program/aval.js'
import { shardShape } from '../../engine/program/sharding.js'
import type { NamedSharding } from '../../engine/program/sharding.js'
import { initParameter } from '../../model/init.js'
import type { ParameterSpec } from '../../model/parameters.js'
import type { ModelParams } from '../../model/types.js'
import { drawOnMesh } from '../parallel/arrays.js'
import type { MeshProgram } from '../parallel/jit-on-mesh.js'
import type { RestorePlan } from './plan.js'

/**
 * A run's first parameters by a plan: restored in float32 (dequantized if they are stored quantized), or drawn from the
 * key as at the beginning of a run without weights. Parameters are read one by one. `mesh`: the run's, with the layouts
 * of its parameters by path. Of a stack of experts, each process reads its own, one by one.
 */
export async function restoreParameters(
  specs: readonly ParameterSpec[],
  { sources }: Pick<RestorePlan, 'sources'>,
  weights: Pick<Weights, 'read' | 'readExpert'>,
  key: Tensor,
  mesh: MeshOfParameters | null = null,
): Promise<ModelParams> {
  const entries: [string, Tensor][] = []
  for (const [i, spec] of specs.entries()) {
    const source = sources.get(spec.path)
    const layout = mesh?.layouts.get(spec.path) ?? null
    entries.push([spec.path, await (source === undefined ? drawn(i, spec, layout) : restored(source, spec, layout))])
  }
  return treeFromPaths(entries) as unknown as ModelParams

  async function drawn(index: number, spec: ParameterSpec, layout: NamedSharding | null): Promise<Tensor> {
    return layout && mesh ? drawOnMesh(spec, index, key, layout, mesh) : initParameter(spec, index, key)
  }
  async function restored(
    source: string,
    { shape, dtype, role }: ParameterSpec,
    layout: NamedSharding | null,
  ): Promise<Tensor> {
    const whole = async (): Promise<HostTensor> => castHost(await weights.read(source), dtype)
    if (layout === null) return fromHost(await whole())
    const [count] = shardShape(shape, layout)
    if (role === 'expertKernel' && count < shape[0]) {
      // Where `tensor` divides experts, the parts of their kernels follow each other: each expert is read once.
      const expertsFrom = lastPromise(async (first: number) => {
        const read: HostTensor[] = []
        for (let expert = first; expert < first + count; expert++)
          read.push(castHost(await weights.readExpert(source, expert), dtype))
        return read
      })
      return fromPartsOnMesh({ dtype, shape }, layout, async ([first, ...start], [, ...part]) =>
        concatenateHost(
          (await expertsFrom.get(first)).map(e => ({ ...partAt(e, start, part), shape: [1, ...part] })),
          0,
        ),
      )
    }
    const tensor = await whole()
    return fromPartsOnMesh({ dtype, shape }, layout, async (start, part) =>
      sameShape(part, shape) ? tensor : partAt(tensor, start, part),
    )
  }
}

/** A mesh, and the layouts of a run's parameters on it, by path. */
export interface MeshOfParameters extends MeshProgram {
  readonly layouts: ReadonlyMap<string, NamedSharding>
}
