import { ConfigError } from '../../base/errors.js'
import { formatBytes, formatCount, formatTable } from '../../base/format.js'
import { slotsIn } from '../../infer/paging/pages.js'
import type { PageNumbers } from '../../infer/paging/pages.js'
import { checkPins } from '../../infer/paging/pins.js'
import { DEFAULT_POLICY, policies } from '../../infer/paging/policies.js'
import type { EvictionPolicy } from '../../infer/paging/policy.js'
import { Belady, coldFloor, simulate } from '../../infer/paging/simulate.js'
import { formatPercent } from '../../metrics/metric.js'
import { readPins } from '../../open/read-pins.js'
import { turnsOfTrace } from './open-trace.js'
import type { TraceTurns } from './open-trace.js'

/** A size of memory, as it was given and in bytes. */
export interface MemorySize {
  readonly text: string
  readonly bytes: number
}

/** Prints the hit rates of each policy on a trace in memories of these sizes, and what each token reads. */
export async function simulateTrace(path: string, sizes: readonly MemorySize[], pins?: string): Promise<void> {
  const trace = await turnsOfTrace(path)
  const { turns, pages, tokens } = trace
  const slots = sizes.map(size => slotsFor(size, pages))
  const pinned = pins === undefined ? new Set<number>() : (await readPins(pins))(pages)
  for (const count of slots) checkPins(pinned, count, pages)
  const uses = turns.reduce((sum, turn) => sum + turn.pages.length, 0)
  const floor = coldFloor(turns)
  const rows: { name: string; misses: (slots: number) => number }[] = [
    ...Object.entries(policies).map(([name, make]: [string, (of: PageNumbers) => EvictionPolicy]) => ({
      name: name === DEFAULT_POLICY ? `${name} (the default)` : name,
      misses: (count: number) => simulate(turns, count, make(pages), pinned).misses,
    })),
    { name: "Belady's optimum", misses: count => simulate(turns, count, new Belady(pages, turns)).misses },
    { name: 'cold floor: each page once', misses: () => floor },
  ]
  const misses = rows.map(row => slots.map(row.misses))
  const table = (title: string, cell: (misses: number) => string): string =>
    formatTable([
      [title, ...sizes.map(({ text }) => text)],
      ['pages in memory', ...slots.map(formatCount)],
      ...rows.map(({ name }, i) => [name, ...misses[i].map(cell)]),
    ])
  console.log(
    [
      describe(trace, uses, floor),
      table('hit rate', missed => formatPercent(1 - missed / uses)),
      table('read for each token', missed => formatBytes(Math.round((missed * pages.slotBytes) / tokens))),
    ].join('\n\n'),
  )
}

/** How many pages fit into a memory. Throws a ConfigError if none does. */
export function slotsFor({ text, bytes }: MemorySize, pages: PageNumbers): number {
  const slots = slotsIn(bytes, pages)
  if (slots > 0) return slots
  throw new ConfigError(
    `--memory ${text}: one expert of this model takes ${formatBytes(pages.slotBytes)}, so nothing fits: give more`,
  )
}

const describe = ({ model, pages, tokens }: TraceTurns, uses: number, met: number): string =>
  [
    `${model}: ${formatCount(pages.stacks.length)} sparse layers, ${formatCount(pages.count)} experts of ${formatBytes(pages.slotBytes)}, ${formatBytes(pages.count * pages.slotBytes)} in all`,
    `the trace: ${formatCount(tokens)} tokens met ${formatCount(met)} different experts; layers asked for an expert ${formatCount(uses)} times`,
  ].join('\n')
