import type { ModelStatistics } from './served-model.js'

/** Of a model that has done nothing. */
export const noStatistics: ModelStatistics = {
  running: 0,
  waiting: 0,
  memoryBytes: 0,
  maxMemoryBytes: 0,
  steps: 0,
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
    inputTokens: sum(one => one.inputTokens),
    generatedTokens: sum(one => one.generatedTokens),
    expertTokens: Array.from({ length: layers }, (_, layer) => {
      const ofLayer = all.map(({ expertTokens }) => expertTokens[layer] ?? [])
      const experts = Math.max(...ofLayer.map(tokens => tokens.length))
      return Array.from({ length: experts }, (__, expert) =>
        ofLayer.reduce((total, tokens) => total + (tokens[expert] ?? 0), 0),
      )
    }),
    droppedTokens: sum(one => one.droppedTokens),
  }
}

/** What stays of the statistics of a process that has ended: its counts. */
export const countsOf = (last: ModelStatistics): ModelStatistics => ({
  ...last,
  running: 0,
  waiting: 0,
  memoryBytes: 0,
  maxMemoryBytes: 0,
})
