import type { ExecutableStats } from './backend.js'

/** The figures of a program that is compiled in parts. */
export function sumOfStats(parts: readonly ExecutableStats[]): ExecutableStats {
  const total = (key: keyof ExecutableStats): number => parts.reduce((sum, part) => sum + part[key], 0)
  return {
    nodes: total('nodes'),
    generators: total('generators'),
    fusedLoops: total('fusedLoops'),
    inPlaceBytes: total('inPlaceBytes'),
    weightBytes: total('weightBytes'),
  }
}
