import type { PagingStatistics } from '../../infer/paged-experts.js'
import type { ModelStatistics } from './served-model.js'

/** Of a model that has done nothing. */
export const noStatistics: ModelStatistics = {
  running: 0,
  waiting: 0,
  memoryBytes: 0,
  maxMemoryBytes: 0,
  steps: 0,
  stepTokens: [],
  inputTokens: 0,
  generatedTokens: 0,
  expertTokens: [],
  droppedTokens: 0,
}

/** The statistics of several copies of a model together. */
export function sumOf(all: readonly ModelStatistics[]): ModelStatistics {
  const sum = (count: (one: ModelStatistics) => number): number => all.reduce((total, one) => total + count(one), 0)
  const layers = Math.max(0, ...all.map(({ expertTokens }) => expertTokens.length))
  return {
    running: sum(one => one.running),
    waiting: sum(one => one.waiting),
    memoryBytes: sum(one => one.memoryBytes),
    maxMemoryBytes: sum(one => one.maxMemoryBytes),
    steps: sum(one => one.steps),
    stepTokens: added(all.map(({ stepTokens }) => stepTokens)),
    inputTokens: sum(one => one.inputTokens),
    generatedTokens: sum(one => one.generatedTokens),
    expertTokens: Array.from({ length: layers }, (_, layer) =>
      added(all.map(({ expertTokens }) => expertTokens[layer] ?? [])),
    ),
    droppedTokens: sum(one => one.droppedTokens),
    ...pagingOf(all.flatMap(({ paging }) => paging ?? [])),
  }
}

/** What reading experts has cost several copies of a model together; empty if their experts are not paged. */
function pagingOf(all: readonly PagingStatistics[]): Pick<ModelStatistics, 'paging'> {
  if (all.length === 0) return {}
  const sum = (count: (one: PagingStatistics) => number): number => all.reduce((total, one) => total + count(one), 0)
  return {
    paging: {
      memoryBytes: sum(one => one.memoryBytes),
      maxMemoryBytes: sum(one => one.maxMemoryBytes),
      traffic: { disk: sum(one => one.traffic.disk), network: sum(one => one.traffic.network) },
      stacks: all[0].stacks.map(({ path }, i) => ({
        path,
        hits: sum(one => one.stacks[i].hits),
        misses: sum(one => one.stacks[i].misses),
        bytes: sum(one => one.stacks[i].bytes),
        waited: sum(one => one.stacks[i].waited),
      })),
    },
  }
}

/** The sum of lists, element by element. Missing elements are 0. */
const added = (lists: readonly (readonly number[])[]): number[] =>
  Array.from({ length: Math.max(...lists.map(({ length }) => length)) }, (_, i) =>
    lists.reduce((total, list) => total + (list[i] ?? 0), 0),
  )

/** What stays of the statistics of a process that has ended: its counts. */
export const countsOf = (last: ModelStatistics): ModelStatistics => ({
  ...last,
  running: 0,
  waiting: 0,
  memoryBytes: 0,
  maxMemoryBytes: 0,
  ...(last.paging && { paging: { ...last.paging, memoryBytes: 0, maxMemoryBytes: 0 } }),
})
