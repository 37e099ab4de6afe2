import { FileError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'

/** A message shows at most this many bad rows. */
const SHOWN = 5

/** Counts the rows of files that cannot be read, and keeps what is wrong with the first ones. */
export class BadRows {
  count = 0
  private readonly shown: string[] = []

  /** `message` names the file, the line and what is wrong. */
  add(message: string): void {
    if (this.count++ < SHOWN) this.shown.push(message)
  }

  /** The error for files whose bad rows are not skipped, or that have no others. `good` is the number of other rows. */
  error(good: number): FileError {
    const { count, shown } = this
    const rows = formatCount(good + count)
    const total = good === 0 ? `all ${rows} rows are bad` : `${formatCount(count)} of ${rows} rows are bad`
    const advice = good === 0 ? '' : '. Correct them, or leave them out (skipBadRows)'
    return new FileError([...shown, `(${shown.length} of ${formatCount(count)} shown) ${total}${advice}`].join('\n'))
  }

  /** What a user is told about bad rows that are skipped. */
  note(good: number): string {
    const { count, shown } = this
    return `warning: ${formatCount(count)} of ${formatCount(good + count)} rows are bad and skipped (--skip-bad-rows); the first: ${shown[0]}`
  }
}
