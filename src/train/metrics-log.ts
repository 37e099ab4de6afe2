import { appendFile, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Turns } from '../base/turns.js'
import { exists, writeFileAtomically } from '../checkpoint/atomic.js'
import { errorCode, namesIn, withPath } from '../checkpoint/files.js'
import { runFiles, stepOfMetrics } from './run-files.js'

/** The figures of one step, by name. Steps are counted from 1. */
export interface MetricsRecord {
  readonly step: number
  readonly [name: string]: number | readonly number[]
}

/** Figures that measure the machine. All others are the same bit for bit in every run of a configuration. */
const ofMachine = ['examplesPerSecond', 'tokensPerSecond', 'flopsPerSecond', 'shareOfPeak', 'shareWaitedForData']

/** Whether a figure measures the machine, and therefore differs from run to run. */
export const isOfMachine = (name: string): boolean => ofMachine.includes(name)

/**
 * A run's `metrics.jsonl`: one JSON object a line, in the order of the steps.
 *
 * A run that resumes from a checkpoint drops the records of later steps, but only when its next checkpoint is saved:
 * until then a crash leaves the old checkpoints with their old records. Meanwhile new records are written to
 * `metrics.jsonl.resumed`, where they can be read. `prepare` writes the new log to `metrics.jsonl.step-<n>`, and after
 * the checkpoint is saved `commit` renames it. If a crash comes between, `open` finds both the file and its checkpoint
 * and renames it.
 */
export class MetricsLog {
  readonly path: string
  /** The new records of a resumed run, until its next checkpoint. */
  private readonly resumedPath: string
  /** The lines of the new log while the file still holds records of later steps. */
  private rewound: string[] | undefined
  /** How many of these lines `prepare` has written. */
  private prepared = 0
  /** Changes of the log, one at a time: a checkpoint is saved while later steps append. */
  private readonly changes = new Turns(1)

  constructor(private readonly folder: string) {
    this.path = join(folder, runFiles.metrics)
    this.resumedPath = join(folder, runFiles.resumedMetrics)
  }

  /** Continues the log after a step: 0 for a new run. */
  async open(step: number): Promise<void> {
    await this.recover(step)
    const lines = await linesOf(this.path)
    const kept = lines.filter(line => stepOf(line) <= step)
    this.rewound = kept.length < lines.length ? kept : undefined
  }

  async append(record: MetricsRecord): Promise<void> {
    // JSON has no NaN and no infinity: JSON.stringify writes null.
    const line = JSON.stringify(record)
    await this.changes.run(async () => {
      this.rewound?.push(line)
      await appendLines(this.rewound ? this.resumedPath : this.path, [line])
    })
  }

  /** Call before the checkpoint of a step is saved. */
  async prepare(step: number): Promise<void> {
    if (this.rewound === undefined) return
    this.prepared = this.rewound.length
    const text = textOf(this.rewound)
    await writeFileAtomically(this.rewoundPath(step), async handle => handle.writeFile(text), { replace: true })
  }

  /** Call after the checkpoint of that step is saved. Keeps the records that came meanwhile. */
  async commit(step: number): Promise<void> {
    await this.changes.run(async () => {
      if (this.rewound === undefined) return
      await withPath(this.path, () => rename(this.rewoundPath(step), this.path))
      await appendLines(this.path, this.rewound.slice(this.prepared))
      this.rewound = undefined
      await rm(this.resumedPath, { force: true })
    })
  }

  private readonly rewoundPath = (step: number): string => join(this.folder, runFiles.metricsUpTo(step))

  /**
   * Completes a `commit` that a crash has prevented, and deletes new logs and records whose checkpoint was never saved.
   */
  private async recover(step: number): Promise<void> {
    await rm(this.resumedPath, { force: true })
    for (const name of await namesIn(this.folder)) {
      const saving = stepOfMetrics(name)
      if (saving === undefined) continue
      const path = join(this.folder, name)
      const saved = await exists(join(this.folder, `step-${saving}`))
      if (saved && saving === String(step)) await withPath(path, () => rename(path, this.path))
      else await rm(path, { force: true })
    }
  }
}

const textOf = (lines: readonly string[]): string => lines.map(line => `${line}\n`).join('')

const appendLines = (path: string, lines: readonly string[]): Promise<void> =>
  withPath(path, () => appendFile(path, textOf(lines)))

async function linesOf(path: string): Promise<string[]> {
  try {
    return (await readFile(path, 'utf8')).split('\n').filter(line => line !== '')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

/** Infinity for a line that is no record, such as one that a crash has cut off. */
function stepOf(line: string): number {
  try {
    return Number((JSON.parse(line) as MetricsRecord).step)
  } catch {
    return Infinity
  }
}
