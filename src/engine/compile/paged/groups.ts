import { allocate, isFloat } from '../../../base/dtypes.js'
import { hostScalar, partOf, sizeOf, toNumbers } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { cachedPromise } from '../../../base/promise-cache.js'
import type { Aval } from '../../program/aval.js'
import type { Program } from '../../program/program.js'
import type { Backend, Buffer } from '../backend.js'
import { compileGroup } from './compiled-group.js'
import type { CompiledGroup } from './compiled-group.js'
import { groupProgram } from './group-program.js'
import type { Region } from './regions.js'

/** Numbers of rows that are compared to compile a group's program for all of them: see `Backend.compileWithWeights`. */
const EXAMPLE_ROWS = [3, 101, 1009] as const

/** Compiles regions for one group. Equal regions, such as the experts of all layers, share one compiled program. */
export class Groups {
  private readonly known = new Map<string, Promise<CompiledGroup>>()

  constructor(private readonly backend: Backend) {}

  /** Computes a region page by page. */
  async of(region: Region): Promise<RegionRunner> {
    const examples = EXAMPLE_ROWS.map(n => groupProgram(region, n)) as [Program, Program, Program]
    const key = examples[0].toString()
    const group = await cachedPromise(this.known, key, () => compileGroup(this.backend, examples, region.paged.length))
    return new RegionRunner(this.backend, group)
  }

  async release(): Promise<void> {
    for (const group of this.known.values())
      await group.then(
        g => g.release(),
        () => undefined,
      )
  }
}

/** What a region reads, on the host. */
export interface RegionInputs {
  readonly groupSizes: HostTensor
  readonly rows: readonly HostTensor[]
  readonly scalars: readonly HostTensor[]
  readonly arrays: readonly HostTensor[]
  readonly sources: HostTensor | undefined
}

/** Runs a region: fetches the pages of the groups that have rows, and computes each group when its page is there. */
export class RegionRunner {
  constructor(
    private readonly backend: Backend,
    private readonly group: CompiledGroup,
  ) {}

  /** Returns the region's results, with zeros in rows after the last group, and NaN in groups whose page is absent. */
  async run(region: Region, { groupSizes, rows, scalars, arrays, sources }: RegionInputs): Promise<HostTensor[]> {
    const sizes = toNumbers(groupSizes)
    let end = 0
    const starts = sizes.map(n => (end += n) - n)
    const groups = sizes.flatMap((n, group) => (n > 0 ? [group] : []))
    const results = region.outputs.map(o => zeros(o.aval))
    const { pages } = region
    const parts = region.paged.map(([, { buffer }]) => buffer.part)
    const put = (x: HostTensor): Buffer => this.backend.put(x)
    const from = sources?.data as Int32Array | undefined
    const rowsFrom = from && groups.map(group => from.subarray(starts[group], starts[group] + sizes[group]))
    let numFetched = 0
    for await (const page of groups.length > 0 ? pages.fetch(groups, rowsFrom) : []) {
      numFetched++
      const numRows = sizes[page.index]
      if (page.parts === null) {
        for (const result of results) fillNaN(rowsOf(result, starts[page.index], numRows), pages.name)
        continue
      }
      const operands = [
        ...rows.map(x => rowsOf(x, starts[page.index], numRows)),
        ...scalars,
        ...arrays.map(x => partOf(x, page.index)),
      ]
      const pageParts = page.parts
      const outputs = await this.group.run({
        numRows,
        program: () => groupProgram(region, numRows),
        operands: operands.map(put),
        page,
        parts: parts.map(part => put(pageParts[part])),
      })
      for (const [i, output] of outputs.entries()) {
        const { data, shape } = await output.read()
        copyInto(results[i].data, data, starts[page.index] * sizeOf(shape.slice(1)))
      }
    }
    if (numFetched !== groups.length)
      throw new Error(`${pages.name} was asked for ${groups.length} pages and gave ${numFetched}`)
    return results
  }
}

const zeros = ({ dtype, shape }: Aval): HostTensor => ({ dtype, shape, data: allocate(dtype, sizeOf(shape)) })

/** Some rows of a tensor, in the same memory. */
function rowsOf({ dtype, shape, data }: HostTensor, start: number, numRows: number): HostTensor {
  const width = sizeOf(shape.slice(1))
  return {
    dtype,
    shape: [numRows, ...shape.slice(1)],
    data: data.subarray(start * width, (start + numRows) * width),
  }
}

function copyInto(target: HostTensor['data'], source: HostTensor['data'], offset: number): void {
  // Both have the dtype of one value, so they are typed arrays of one kind.
  ;(target as Uint8Array).set(source as Uint8Array, offset)
}

function fillNaN({ dtype, data }: HostTensor, name: string): void {
  if (!isFloat(dtype)) throw new Error(`${name} left out a page, and the ${dtype} results that need it cannot be NaN`)
  ;(data as Float32Array).fill(Number(hostScalar(dtype, NaN).data[0]))
}
