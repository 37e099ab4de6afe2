import { formatBytes, formatCount } from '../../base/format.js'
import type { WorkListener, WorkProgress } from '../../data/long-work.js'

/** Seconds between two lines, if the standard error is not a terminal. */
const LINE_EVERY = 5

/**
 * Shows long work on data on the standard error: in a terminal as one line that moves and is erased at the end,
 * otherwise as a line every few seconds.
 */
export function showWork(
  stream: { readonly isTTY?: boolean; write(text: string): unknown } = process.stderr,
  now: () => number = () => performance.now() / 1000,
): WorkListener {
  let last = -Infinity
  const erase = stream.isTTY ? '\r\x1b[K' : ''
  return {
    progress(progress) {
      const ended = progress.done >= progress.total
      if (stream.isTTY) stream.write(ended ? erase : `${erase}${lineOf(progress)}`)
      else if (!ended && now() - last >= LINE_EVERY) {
        last = now()
        stream.write(`${lineOf(progress)}\n`)
      }
    },
    notice: message => void stream.write(`${erase}${message}\n`),
  }
}

const lineOf = ({ what, done, total, unit }: WorkProgress): string =>
  `${what}: ${Math.floor((100 * done) / total)}% of ${unit === 'bytes' ? formatBytes(total) : `${formatCount(total)} examples`}`
