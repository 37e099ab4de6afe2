import { appendFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { namesIn, withPath } from '../../checkpoint/files.js'
import { frameTfRecord } from '../../data/sources/tfrecord/framing.js'
import type { MetricsRecord } from '../metrics-log.js'
import { numberOfEvents } from '../run-files.js'
import { fileVersionEvent, restartEvent, summaryEvent } from './events.js'
import type { SummaryValue } from './events.js'

/**
 * A run's figures as event files, which `tensorboard --logdir runs` shows: each figure of a step is a scalar, and a
 * list such as the load of each expert is a histogram with one bar for each element.
 *
 * A training writes one file in the run's folder. After a resume the new file begins with a `SessionLog` START, by
 * which TensorBoard drops the events of earlier files after the resumed step; files are never changed.
 */
export class EventLog {
  private path: string | undefined

  /**
   * `step` is the number of steps that the run has made before: 0 for a new run. No file is written before `append`.
   */
  constructor(
    private readonly folder: string,
    private readonly step: number,
  ) {}

  /** Appends the figures of a step. */
  async append({ step, ...figures }: MetricsRecord): Promise<void> {
    const now = Date.now() / 1000
    const events = [summaryEvent(now, step, Object.entries(figures) as [string, SummaryValue][])]
    if (this.path === undefined) {
      this.path = await this.newPath(now)
      // The restart names the first step whose events are dropped.
      events.unshift(fileVersionEvent(now), restartEvent(now, this.step + 1))
    }
    const path = this.path
    // One write: a crash may cut off the last record, which TensorBoard skips.
    await withPath(path, () => appendFile(path, Buffer.concat(events.map(frameTfRecord))))
  }

  /** TensorBoard reads the files in the order of their names, so a new name has a later second than every other. */
  private async newPath(now: number): Promise<string> {
    const numbers = (await namesIn(this.folder)).map(name => numberOfEvents(name) ?? 0)
    const second = Math.max(Math.floor(now), ...numbers.map(number => number + 1))
    return join(this.folder, `events.out.tfevents.${String(second).padStart(10, '0')}.${hostname()}`)
  }
}
