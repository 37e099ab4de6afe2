import { formatBytes, formatCount, formatDuration } from '../../base/format.js'
import type { PagingStatistics } from '../../infer/paged-experts.js'
import type { PagingProgress } from '../../infer/paging/pager.js'
import { formatPercent } from '../../metrics/metric.js'

/** Milliseconds that an answer takes before the line appears, and between two changes of it. */
const APPEARS_AFTER = 1000
const CHANGES_AFTER = 100

const ERASE = '\r\x1b[K'

/**
 * A line on a terminal that says which experts a long answer waits for: `encoder layer 7 of 15, 212 experts, 3.1 GiB
 * read`. Shows nothing if the standard error is no terminal.
 */
export class PagingLine {
  private began: number | undefined
  private changed = -Infinity
  private isShown = false
  private isPaused = false

  constructor(private readonly terminal: Pick<NodeJS.WriteStream, 'isTTY' | 'write'> = process.stderr) {}

  /** Told by the pager of a model: see `LoadOptions.onPaging`. */
  readonly show = ({ stack, layer, layers, experts, bytes }: PagingProgress): void => {
    if (!this.terminal.isTTY || this.isPaused) return
    const now = performance.now()
    this.began ??= now
    if (now - this.began < APPEARS_AFTER || now - this.changed < CHANGES_AFTER) return
    this.changed = now
    this.isShown = true
    this.terminal.write(
      `${ERASE}${stack} layer ${layer} of ${layers}, ${formatCount(experts)} ${experts === 1 ? 'expert' : 'experts'}, ${formatBytes(bytes)} read`,
    )
  }

  /** Erases the line, before something else is printed. It appears again if the next answer takes long, too. */
  erase(): void {
    if (this.isShown) this.terminal.write(ERASE)
    this.isShown = false
    this.began = undefined
  }

  /** Erases the line until `resume` is called, while an answer is printed in pieces. */
  pause(): void {
    this.erase()
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }
}

/** What reading experts has cost, in a line; undefined if they are not paged. */
export function pagingSummary(paging: PagingStatistics | undefined): string | undefined {
  if (paging === undefined) return undefined
  const total = (key: 'hits' | 'misses' | 'waited'): number => paging.stacks.reduce((sum, s) => sum + s[key], 0)
  const [hits, misses, waited] = [total('hits'), total('misses'), total('waited')]
  const { disk, network } = paging.traffic
  const sources = [
    `${formatBytes(disk)} from disk`,
    ...(network > 0 ? [`${formatBytes(network)} from the network`] : []),
  ]
  const rate = hits + misses > 0 ? ` (${formatPercent(hits / (hits + misses))})` : ''
  return `experts: ${formatCount(hits)} of ${formatCount(hits + misses)}${rate} were in memory, ${formatCount(misses)} were read: ${sources.join(' and ')}; waited ${formatDuration(waited / 1000)} for them`
}
