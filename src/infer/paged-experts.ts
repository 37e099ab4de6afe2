import { ConfigError } from '../base/errors.js'
import { expertsOf } from '../checkpoint/experts/from-weights.js'
import type { ExpertSource, ExpertTraffic } from '../checkpoint/experts/source.js'
import type { Bits } from '../checkpoint/quantize.js'
import type { Weights } from '../checkpoint/weights.js'
import { pagedArray } from '../engine/api/paged-array.js'
import type { Tensor } from '../engine/api/tensor.js'
import { Pager } from './paging/pager.js'
import type { PagingProgress, StackCounts } from './paging/pager.js'
import { PageNumbers } from './paging/pages.js'
import type { ExpertReaders } from './paging/readers.js'

export interface PagingOptions {
  /** The most bytes of experts in memory. */
  readonly memory: number
  /** The pages that stay in memory once they are read: see `pinnedPages`. Default: none. */
  readonly pinned?: (pages: PageNumbers) => ReadonlySet<number>
  /** Called when a layer asks for experts, and after each one that it is given. */
  readonly onProgress?: (progress: PagingProgress) => void
}

/** What reading experts has cost so far. */
export interface PagingStatistics {
  /** Bytes of the experts in memory: now, and the limit. */
  readonly memoryBytes: number
  readonly maxMemoryBytes: number
  /** The bytes that were read, by where they came from. */
  readonly traffic: ExpertTraffic
  /** For each sparse layer, in the order in which a run meets them. */
  readonly stacks: readonly StackCounts[]
}

/** The experts of a loaded model that are read when tokens meet them, and the memory that holds some of them. */
export class PagedExperts {
  private readonly pager: Pager
  private readonly arrays = new Map<string, [path: string, array: Tensor][]>()

  private constructor(
    private readonly source: ExpertSource,
    private readonly memory: number,
    { pinned, onProgress }: PagingOptions,
  ) {
    this.pager = new Pager(source, { memory, pinned: pinned?.(new PageNumbers(source.stacks)), onProgress })
    for (const [stack, { parts }] of source.stacks.entries()) {
      const pages = this.pager.pagesOf(stack)
      for (const [i, { parameter, kind }] of parts.entries()) {
        const named: [string, Tensor] =
          kind === 'kernel'
            ? [parameter, pagedArray(pages, i, 'float32')]
            : [`${parameter}/${kind}`, pagedArray(pages, i)]
        this.arrays.set(parameter, [...(this.arrays.get(parameter) ?? []), named])
      }
    }
  }

  /**
   * Opens the experts of weights. `bits`: kernels in floating point are quantized when they are read. Keep the weights
   * open until the experts are closed. Throws a ConfigError if the model has no experts, or not even one of them fits
   * into the memory.
   */
  static async open(weights: Weights, bits: Bits | null, options: PagingOptions): Promise<PagedExperts> {
    if (!weights.specs.some(({ role }) => role === 'expertKernel'))
      throw new ConfigError(
        `${weights.path}: this model is dense: it has no experts to keep out of memory. Leave expertsMemory out`,
      )
    const source = await expertsOf(weights, bits)
    try {
      return new PagedExperts(source, options.memory, options)
    } catch (error) {
      await source.close()
      throw error
    }
  }

  /** The arrays of a stack of kernels, with their paths: the kernels, or their values and their scales. */
  arraysOf(parameter: string): readonly [path: string, array: Tensor][] {
    return this.arrays.get(parameter)!
  }

  /** Runs a pass of the model for several readers: see `Pager.during`. */
  during<T>(readers: ExpertReaders, pass: () => Promise<T>): Promise<T> {
    return this.pager.during(readers, pass)
  }

  statistics(): PagingStatistics {
    return {
      memoryBytes: this.pager.memoryBytes,
      maxMemoryBytes: this.memory,
      traffic: this.source.traffic(),
      stacks: this.pager.statistics(),
    }
  }

  /** Ends all reads, and closes the files. Programs that need an expert end with an error from now on. */
  close(): Promise<void> {
    return this.pager.close()
  }
}
