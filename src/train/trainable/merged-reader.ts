import { fromHost, hostView } from '../../engine/api/tensor.js'
import { viewOf } from '../../checkpoint/format.js'
import type { CheckpointReader } from '../../checkpoint/format.js'
import { adapterPaths, isAdapter, mergedKernel } from './adapters.js'
import type { LoraConfig } from './config.js'

/**
 * The parameters of a run's checkpoint as those of the model alone: adapters are added to their kernels when a kernel
 * is read.
 */
export function mergedReader(params: CheckpointReader, lora: LoraConfig): CheckpointReader {
  if (lora.rank === 0) return params
  const infos = params.list()
  const names = new Set(infos.map(info => info.name))
  return viewOf(params, {
    list: () => infos.filter(({ name }) => !isAdapter(name)),
    read: async name => {
      const { a, b } = adapterPaths(name)
      const kernel = await params.read(name)
      if (name === a || !names.has(a)) return kernel
      const merged = mergedKernel(
        fromHost(kernel),
        fromHost(await params.read(a)),
        fromHost(await params.read(b)),
        lora,
      )
      return hostView(merged)
    },
  })
}
