import { readFileSync } from 'node:fs'
import { arch, availableParallelism, cpus, freemem, platform, totalmem } from 'node:os'

/** What the programs run on. */
export interface Machine {
  readonly node: string
  readonly system: string
  readonly processor: string
  readonly processors: number
  /** The instructions for vectors and matrices that the processor has, as far as they are known. */
  readonly features: readonly string[]
  readonly memoryBytes: number
  readonly freeMemoryBytes: number
}

/** The instructions that make products of matrices fast. */
const notable = /^(avx2|fma|avx512f|avx512_bf16|avx512_vnni|avx_vnni|amx_bf16|amx_int8|asimd|asimddp|bf16|i8mm|sve)$/

export function inspectMachine(): Machine {
  const info = cpuInfo()
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1] ?? ''
  return {
    node: process.versions.node,
    system: `${platform()} ${arch()}`,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    processors: availableParallelism(),
    features: [...new Set(flags.split(/\s+/))].filter(flag => notable.test(flag)),
    memoryBytes: totalmem(),
    // On Linux this counts the file cache that can be given up.
    freeMemoryBytes: freemem(),
  }
}

/** What Linux says about the processor; other systems do not have this file. */
function cpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'latin1')
  } catch {
    return ''
  }
}
