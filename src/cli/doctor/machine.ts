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
    freeMemoryBytes: Number(/^MemAvailable:\s*(\d+) kB/m.exec(memInfo())?.[1] ?? NaN) * 1024 || freemem(),
  }
}

const cpuInfo = (): string => readOrNothing('/proc/cpuinfo')
const memInfo = (): string => readOrNothing('/proc/meminfo')

/** Only Linux has these files. */
function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
