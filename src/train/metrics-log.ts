import { appendFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomically } from '../checkpoint/atomic.js'
import { withPath } from '../checkpoint/files.js'

/** What is known of a step: its number, counted from 1, and figures by name. */
export interface MetricsRecord {
  readonly step: number
  readonly [name: string]: number | readonly number[]
}

/** A run's `metrics.jsonl`: one JSON object a line, in the order of the steps. */
export class MetricsLog {
  readonly path: string

  constructor(folder: string) {
    this.path = join(folder, 'metrics.jsonl')
  }

  async append(record: MetricsRecord): Promise<void> {
    // JSON has no NaN: such a figure becomes null.
    await withPath(this.path, () => appendFile(this.path, `${JSON.stringify(record)}\n`))
  }

  /** Drops what was recorded after a step, and a line that a crash has cut: the run goes on from there. */
  async rewind(step: number): Promise<void> {
    const kept = (await this.lines()).filter(line => stepOf(line) <= step)
    await writeFileAtomically(
      this.path,
      async handle => {
        await handle.writeFile(kept.map(line => `${line}\n`).join(''))
      },
      { replace: true },
    )
  }

  private async lines(): Promise<string[]> {
    try {
      return (await readFile(this.path, 'utf8')).split('\n')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw error
    }
  }
}

/** Infinity for a line that is no record. */
function stepOf(line: string): number {
  try {
    return Number((JSON.parse(line) as MetricsRecord).step)
  } catch {
    return Infinity
  }
}
