import { SwitchyardError } from '../base/errors.js'
import { formatBytes, formatCount } from '../base/format.js'
import { sizeOf } from '../base/host-tensor.js'
import { expertStacks, nativeParts } from '../checkpoint/experts/source.js'
import { freeMemory, memoryProblem } from '../checkpoint/free-memory.js'
import type { Bits } from '../checkpoint/quantize.js'
import { quantizedTypesOf } from '../checkpoint/weights.js'
import { loadingBytes, weightBytes, withoutExperts } from '../infer/load.js'
import { PageNumbers } from '../infer/paging/pages.js'
import { countParameters } from '../model/parameters.js'
import type { OpenedWeights } from './open-weights.js'

/** A notice announces the loading of models that take more memory than this. */
export const LARGE_BYTES = 2 ** 28

/** The share of the free memory that stays free if a model's experts are paged without a given limit. */
const RESERVE = 1 / 8

/** With room for fewer pages than this, a model does not page by itself: nearly every expert would be read again. */
const LEAST_PAGES = 4

export interface FitOptions {
  /** Quantizes kernels to this many bits while they are loaded. */
  readonly bits?: Bits
  /** The memory, in bytes, that the answers generated at once may take. Default: 0. */
  readonly rowBytes?: number
  /** How many copies of the model will be loaded, this one included: all must fit into memory. Default: 1. */
  readonly copies?: number
  /** The memory of each copy for paged experts. Default: experts are loaded, or paged if they do not fit. */
  readonly expertsMemory?: number
}

/**
 * Compares what a model needs with the free memory. Returns the bytes of memory for its experts if they are paged: the
 * given limit, or what is free if the experts do not fit; undefined if all experts are to be loaded. Announces the
 * loading of a large model. Throws a SwitchyardError if the model does not fit.
 */
export async function checkFits(
  weights: OpenedWeights,
  options: FitOptions,
  onNotice: (message: string) => void,
): Promise<number | undefined> {
  const free = freeMemory()
  const hasExperts = weights.specs.some(({ role }) => role === 'expertKernel')
  if (options.expertsMemory !== undefined && hasExperts) {
    await checkPaged(weights, options, options.expertsMemory, free, onNotice)
    return options.expertsMemory
  }
  const problem = await residentProblem(weights, options, free)
  if (problem === undefined) {
    await announce(weights, options, onNotice)
    return options.expertsMemory
  }
  const memory = hasExperts ? await affordable(weights, options, free) : undefined
  if (memory === undefined) throw new SwitchyardError(problem)
  onNotice(
    `${weights.path}: its experts take ${formatBytes(expertBytes(weights, options.bits))}, and ${formatBytes(free)} of memory are free: experts are read when tokens meet them, and ${formatBytes(memory)} of them stay in memory (--experts-memory SIZE; see docs/paging.md)`,
  )
  return memory
}

/** An error message if the whole model does not fit into memory. */
async function residentProblem(
  weights: OpenedWeights,
  { bits, rowBytes = 0, copies = 1 }: FitOptions,
  free: number,
): Promise<string | undefined> {
  const stored = weights.bits ?? null
  const chosen = bits ?? stored
  const loading = new Map<Bits | null, number>()
  for (const b of new Set([chosen, 8, 4] as const)) loading.set(b, await loadingBytes(weights, b))
  const bytesIn = (b: Bits | null, ofRows = rowBytes, count = copies): number =>
    together(loading.get(b)!, weightBytes(weights, b) + ofRows, count)
  return memoryProblem(
    taskName(weights, { rowBytes, copies }),
    bytesIn(chosen),
    () => {
      if (rowBytes > 0 && bytesIn(chosen, 0) <= free) return 'allow less for answers (maxMemoryBytes, --max-cache)'
      if (copies > 1 && bytesIn(chosen, rowBytes, 1) <= free) return 'load fewer copies (--replicas)'
      const smaller = ([8, 4] as const).find(b => b < (chosen ?? 32) && bytesIn(b) <= free)
      return smaller
        ? `in ${smaller} bits (--quantize int${smaller}) it takes ${formatBytes(bytesIn(smaller))}`
        : 'take a machine with more, or a smaller model'
    },
    free,
  )
}

/** Throws a SwitchyardError if a model does not fit with this memory for its experts. */
async function checkPaged(
  weights: OpenedWeights,
  { bits, rowBytes = 0, copies = 1 }: FitOptions,
  memory: number,
  free: number,
  onNotice: (message: string) => void,
): Promise<void> {
  const all = expertBytes(weights, bits)
  const experts = Math.min(memory, all)
  const { loading, loaded } = await denseBytes(weights, bits)
  const bytesWith = (ofExperts: number): number => together(loading, loaded + rowBytes + ofExperts, copies)
  const problem = memoryProblem(
    taskName(weights, { rowBytes, copies }, `${formatBytes(experts)} for its experts`),
    bytesWith(experts),
    () =>
      bytesWith(0) < free
        ? 'give its experts less memory (expertsMemory)'
        : 'take a machine with more, or a smaller model',
    free,
  )
  if (problem !== undefined) throw new SwitchyardError(problem)
  if (loading > LARGE_BYTES)
    onNotice(
      `${weights.path}: ${formatCount(countParameters(weights.specs))} parameters, about ${formatBytes(loaded)} in memory without its experts, and up to ${formatBytes(experts)} of the ${formatBytes(all)} of experts`,
    )
}

/** The memory of each copy for its experts, if they are paged and nothing else is to be said; undefined: too little. */
async function affordable(
  weights: OpenedWeights,
  { bits, rowBytes = 0, copies = 1 }: FitOptions,
  free: number,
): Promise<number | undefined> {
  const { slotBytes } = pagesOf(weights, bits)
  const { loading, loaded } = await denseBytes(weights, bits)
  // An expert is computed with copies of its kernels in float32.
  const expert = weights.specs.reduce(
    (most, { role, shape }) => (role === 'expertKernel' ? Math.max(most, 4 * sizeOf(shape.slice(1))) : most),
    0,
  )
  const left = free * (1 - RESERVE) - together(loading, loaded + rowBytes, copies) - copies * 2 * expert
  const memory = Math.floor(left / copies)
  return memory >= LEAST_PAGES * slotBytes ? memory : undefined
}

/** Announces the loading of a large model. */
async function announce(
  weights: OpenedWeights,
  { bits, rowBytes = 0 }: FitOptions,
  onNotice: (message: string) => void,
): Promise<void> {
  const chosen = bits ?? weights.bits ?? null
  const peak = await loadingBytes(weights, chosen)
  if (peak > LARGE_BYTES)
    onNotice(
      `${weights.path}: ${formatCount(countParameters(weights.specs))} parameters, about ${formatBytes(weightBytes(weights, chosen))} in memory and ${formatBytes(peak)} while they are loaded${rowBytes > 0 ? `; answers take up to ${formatBytes(rowBytes)} more` : ''}`,
    )
}

/** The memory of copies that are loaded one after another: only one is at its peak. */
const together = (loading: number, loaded: number, copies: number): number =>
  Math.max(loading, loaded) + (copies - 1) * loaded

function taskName(
  { path }: OpenedWeights,
  { rowBytes, copies }: Required<Pick<FitOptions, 'rowBytes' | 'copies'>>,
  experts?: string,
): string {
  const parts = [...(experts ? [experts] : []), ...(rowBytes > 0 ? [`${formatBytes(rowBytes)} for its answers`] : [])]
  const one = parts.length > 0 ? `this model with ${parts.join(' and ')}` : 'this model'
  return `${path}: ${copies > 1 ? `${copies} copies (replicas) of ${one}` : one}`
}

/** What is in memory of a model whose experts are paged, without the experts: while it is loaded, and then. */
async function denseBytes(
  weights: OpenedWeights,
  bits: Bits | undefined,
): Promise<{ loading: number; loaded: number }> {
  const dense = withoutExperts(weights)
  const chosen = bits ?? weights.bits ?? null
  return { loading: await loadingBytes(dense, chosen), loaded: weightBytes(dense, chosen) }
}

const pagesOf = (weights: OpenedWeights, bits: Bits | undefined): PageNumbers =>
  new PageNumbers(
    expertStacks(weights.specs, spec => nativeParts(spec, one => quantizedTypesOf(weights, one, bits ?? null))),
  )

const expertBytes = (weights: OpenedWeights, bits: Bits | undefined): number =>
  pagesOf(weights, bits).stacks.reduce((sum, { bytes, numExperts }) => sum + bytes * numExperts, 0)
