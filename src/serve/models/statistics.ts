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
})
