import { treeFromPaths } from '../src/base/pytree.js'
import { bytesOf } from '../src/base/host-tensor.js'
import { expertStacks, partBytes } from '../src/checkpoint/experts/source.js'
import type { ExpertSource } from '../src/checkpoint/experts/source.js'
import { pagedArray } from '../src/engine/api/paged-array.js'
import { hostView } from '../src/engine/api/tensor.js'
import type { Tensor } from '../src/engine/api/tensor.js'
import type { Pager } from '../src/infer/paging/pager.js'
import type { ParameterSpec } from '../src/model/parameters.js'
import type { ModelParams } from '../src/model/types.js'

/** Called before each read. */
export type BeforeRead = (stack: number, expert: number, signal?: AbortSignal) => Promise<void> | void

/** The experts of parameters in memory. */
export async function memorySource(
  specs: readonly ParameterSpec[],
  params: ReadonlyMap<string, Tensor>,
  beforeRead?: BeforeRead,
): Promise<ExpertSource> {
  const stacks = expertStacks(specs, ({ dtype, shape }) => [
    { kind: 'kernel', dtype, shape: shape.slice(1), isTransposed: false },
  ])
  const kernels = new Map<string, Uint8Array>()
  for (const { parts } of stacks)
    for (const { parameter } of parts) kernels.set(parameter, bytesOf(await hostView(params.get(parameter)!)))
  return {
    name: 'memory',
    stacks,
    async read(stack, expert, page, signal) {
      await beforeRead?.(stack, expert, signal)
      for (const part of stacks[stack].parts) {
        const size = partBytes(part)
        page.set(kernels.get(part.parameter)!.subarray(expert * size, (expert + 1) * size), part.offset)
      }
    },
    traffic: () => ({ disk: 0, network: 0 }),
    close: async () => undefined,
  }
}

/** Parameters whose experts are paged. */
export function pagedParameters(
  params: ReadonlyMap<string, Tensor>,
  pager: Pager,
  { stacks }: ExpertSource,
): ModelParams {
  const all = new Map(params)
  stacks.forEach(({ parts }, stack) =>
    parts.forEach(({ parameter }, part) => all.set(parameter, pagedArray(pager.pagesOf(stack), part))),
  )
  return treeFromPaths([...all]) as unknown as ModelParams
}
