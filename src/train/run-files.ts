import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { removeLeftovers } from '../checkpoint/atomic.js'
import { namesIn } from '../checkpoint/files.js'

/** The files of a run's folder beside its checkpoints (`step-<n>`) and its lock. */
export const runFiles = {
  /** The run's configuration, until the first checkpoint. */
  start: 'run.json',
  /** What the configuration was made from: see run-origin.ts. */
  origin: 'sources.json',
  /** The figures of every step. */
  metrics: 'metrics.jsonl',
  /** The figures of a resumed run, until its next checkpoint. */
  resumedMetrics: 'metrics.jsonl.resumed',
  /** The batch of a step whose loss was not finite. It stays when the run is removed: it is wanted then. */
  diverged: (step: number): string => `diverged-step-${step}.safetensors`,
  /** The figures up to a checkpoint, while it is saved. */
  metricsUpTo: (step: number): string => `metrics.jsonl.step-${step}`,
} as const

/** The steps whose loss or gradient was not finite, of which the folder holds the batch, in order. */
export const divergedSteps = async (folder: string): Promise<number[]> =>
  (await namesIn(folder))
    .flatMap(name => /^diverged-step-(\d+)\.safetensors$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)

/** The step of a file `metricsUpTo`, as text; undefined for other names. */
export const stepOfMetrics = (name: string): string | undefined => /^metrics\.jsonl\.step-(\d+)$/.exec(name)?.[1]

/**
 * The number in the name of a file of events for TensorBoard (`EventLog`), which orders the files of a run; undefined
 * for other names.
 */
export function numberOfEvents(name: string): number | undefined {
  const digits = /^events\.out\.tfevents\.(\d+)\./.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** Deletes a run's files, and those that a crash left unfinished. Checkpoints, locks and other files stay. */
export async function removeRunFiles(folder: string): Promise<void> {
  const { start, origin, metrics, resumedMetrics } = runFiles
  const ours: readonly string[] = [start, origin, metrics, resumedMetrics]
  for (const name of await namesIn(folder)) {
    const isNumbered = stepOfMetrics(name) !== undefined || numberOfEvents(name) !== undefined
    if (ours.includes(name) || isNumbered) await rm(join(folder, name), { force: true })
  }
  await removeLeftovers(folder)
}
