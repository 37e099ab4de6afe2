/** A source of experts whose reads a test ends, and what tests of the pager share. */
import { expect } from 'vitest'
import { FileError } from '../src/base/errors.js'
import { expertName, expertStacks } from '../src/checkpoint/experts/source.js'
import type { ExpertSource } from '../src/checkpoint/experts/source.js'
import type { AbsentPage, Page } from '../src/engine/compile/paged/pages.js'
import { Pager } from '../src/infer/paging/pager.js'
import type { StackPages } from '../src/infer/paging/pager.js'
import type { ParameterSpec } from '../src/model/parameters.js'

export const EXPERTS = 8
const kernel = (layer: string, name: string): ParameterSpec => ({
  path: `${layer}/mlp/expert/${name}/kernel`,
  role: 'expertKernel',
  place: { stack: null, layer: null, sublayer: null, projection: null },
  shape: [EXPERTS, 2, 3],
  axes: ['expert', 'embed', 'expert_mlp'],
  dtype: 'float32',
  init: { kind: 'zeros' },
})
/** `dtype`: int8 for pages that lie in arenas, uint8 for others. */
export const stacksIn = (dtype: 'int8' | 'uint8'): ReturnType<typeof expertStacks> =>
  expertStacks(
    ['encoder/layers_1', 'decoder/layers_1', 'decoder/layers_3'].flatMap(layer => [
      kernel(layer, 'wi'),
      kernel(layer, 'wo'),
    ]),
    () => [
      { kind: 'values', dtype, shape: [2, 3], isTransposed: false },
      { kind: 'scales', dtype: 'float32', shape: [3], isTransposed: false },
    ],
  )
export const stacks = stacksIn('int8')
/** 6 + 12 bytes for each kernel, each part aligned to 64. */
export const PAGE = 204
const valueOf = (stack: number, expert: number): number => 10 * stack + expert

interface Read {
  readonly stack: number
  readonly expert: number
  readonly page: Uint8Array<ArrayBuffer>
  readonly signal?: AbortSignal
  end(error?: Error): void
}

const isSameMemory = (a: Uint8Array, b: Uint8Array): boolean => a.buffer === b.buffer && a.byteOffset === b.byteOffset

/** A source whose reads end when the test says so, or at once. Checks how it is used. */
export class FakeSource implements ExpertSource {
  readonly name = 'model.safetensors'

  constructor(readonly stacks = stacksIn('int8')) {}

  readonly reading: Read[] = []
  /** The memory that pages were read into, each once. */
  readonly slots: Uint8Array[] = []
  reads = 0
  isClosed = false
  /** Called for each read; without it, reads end when the test ends them. */
  onRead?: (read: Read) => void

  read(stack: number, expert: number, page: Uint8Array<ArrayBuffer>, signal?: AbortSignal): Promise<void> {
    expect(page).toHaveLength(PAGE)
    expect(this.reading.some(read => isSameMemory(read.page, page))).toBe(false)
    expect(this.reading.some(read => read.stack === stack && read.expert === expert)).toBe(false)
    expect(this.reading.length).toBeLessThan(4)
    this.reads++
    if (!this.slots.some(slot => isSameMemory(slot, page))) this.slots.push(page)
    page.fill(0xee)
    return new Promise((resolve, reject) => {
      const read: Read = {
        stack,
        expert,
        page,
        signal,
        end: error => {
          this.reading.splice(this.reading.indexOf(read), 1)
          if (error) return reject(error)
          page.fill(valueOf(stack, expert))
          resolve()
        },
      }
      this.reading.push(read)
      this.onRead?.(read)
    })
  }

  /** Ends all reads that are in progress. */
  endAll(): void {
    for (const read of this.reading.slice()) read.end()
  }

  traffic(): { disk: number; network: number } {
    return { disk: this.reads * PAGE, network: 0 }
  }

  async close(): Promise<void> {
    expect(this.reading).toEqual([])
    this.isClosed = true
  }
}

/** Lets everything run that can run without a timer. */
export const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** Reads a fetch to its end, and checks each page when it is given and before the next one is asked for. */
export async function indicesOf(
  pages: StackPages,
  stack: number,
  indices: readonly number[],
  sources?: readonly Int32Array[],
): Promise<number[]> {
  const given: number[] = []
  for await (const page of pages.fetch(indices, sources)) {
    checkPage(page, stack)
    await settle()
    checkPage(page, stack)
    given.push(page.index)
  }
  return given
}

function checkPage({ index, parts }: Page | AbsentPage, stack: number): void {
  const bytes = parts!.flatMap(({ data }) => [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)])
  expect(new Set(bytes)).toEqual(new Set([valueOf(stack, index)]))
}

/** A pager with room for some pages, and its source. */
export function openPager(
  slots: number,
  options: Partial<ConstructorParameters<typeof Pager>[1]> = {},
  source = new FakeSource(),
): { pager: Pager; source: FakeSource } {
  return { pager: new Pager(source, { memory: slots * PAGE, ...options }), source }
}

/** The error of a file that is too short for an expert. */
export const failureOf = ({ stack, expert }: { stack: number; expert: number }): FileError =>
  new FileError(`model.safetensors: ${expertName(stacks[stack], expert)}: the file ends within it`)

/** The rows of a pass that want each page: one for each. */
export const rowsOf = (...rows: number[]): Int32Array[] => rows.map(row => Int32Array.of(row))
