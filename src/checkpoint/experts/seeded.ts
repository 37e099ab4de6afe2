import { SwitchyardError } from '../../base/errors.js'
import type { ParameterSpec } from '../../model/parameters.js'
import { quantizedTypes } from '../quantize.js'
import type { Bits } from '../quantize.js'
import { cachedExperts } from './cached.js'
import type { PageCache } from './page-cache.js'
import { fillSeeded, seededScale } from './seeded-values.js'
import { expertStacks, nativeParts, partBytes } from './source.js'
import type { ExpertSource } from './source.js'

export interface SeededExperts {
  /** For messages: the model's folder. */
  readonly name: string
  /** The declared parameters of the model. */
  readonly specs: readonly ParameterSpec[]
  /** The dtype of kernels that are not quantized. */
  readonly dtype: 'float32' | 'bfloat16'
  /** The bits that kernels are quantized to; null: none. */
  readonly bits: Bits | null
  readonly seed: number
  /** Keeps pages that were made. */
  readonly cache: PageCache
}

/**
 * The experts of a new model. An expert is made from the seed when it is first read, then kept in the cache, so that a
 * model of any size can be tried without its files. What is made depends on the seed, the expert's name and its stored
 * form alone.
 */
export function seededSource({ name, specs, dtype, bits, seed, cache }: SeededExperts): ExpertSource {
  const kernels = specs.filter(({ role }) => role === 'expertKernel')
  const deviations = new Map(kernels.map(spec => [spec.path, deviationOf(spec)]))
  const stacks = expertStacks(kernels, spec =>
    nativeParts({ ...spec, dtype }, one => bits && quantizedTypes(one, bits)),
  )
  const made: ExpertSource = {
    name,
    stacks,
    async read(stack, expert, page, signal) {
      for (const part of stacks[stack].parts) {
        signal?.throwIfAborted()
        const own = page.subarray(part.offset, part.offset + partBytes(part))
        const stddev = deviations.get(part.parameter)!
        if (part.kind === 'scales') floats(own).fill(seededScale(bits!, stddev))
        else fillSeeded(own, part.kind === 'values' ? bits! : dtype, stddev, seed, `${part.parameter}/${expert}`)
      }
    },
    traffic: () => ({ disk: 0, network: 0 }),
    close: () => Promise.resolve(),
  }
  return cachedExperts({ source: made, cache })
}

/** The standard deviation of a new kernel. Seeded values are cut at two of them, also where `init` cuts none. */
function deviationOf({ path, init }: ParameterSpec): number {
  if (init.kind === 'normal' || init.kind === 'truncatedNormal') return init.stddev
  throw new SwitchyardError(`${path} has the initializer ${init.kind}, and seeded experts have a normal distribution`)
}

const floats = ({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): Float32Array =>
  new Float32Array(buffer, byteOffset, byteLength / 4)
