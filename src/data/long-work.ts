/** How far a long piece of work on data is. */
export interface WorkProgress {
  /** What is done, and to what: `encoding brown (train)`. */
  readonly what: string
  readonly done: number
  readonly total: number
  readonly unit: WorkUnit
}

/** What `done` and `total` count. */
export type WorkUnit = 'examples' | 'bytes'

/** Shows long work on data to a person. */
export interface WorkListener {
  /** Called a few times a second, and at the end with `done` equal to `total`. */
  progress(progress: WorkProgress): void
  /** A message, such as: a damaged file of the cache was made again. */
  notice(message: string): void
}

/** Work is shown when it has taken this long. */
const SHOWN_AFTER_SECONDS = 1
/** Seconds between two calls of a listener. */
const EVERY_SECONDS = 0.25

let listener: WorkListener | undefined

/** Sets who is told about long work on data, in this thread; undefined: nobody. Without it, nothing is shown. */
export function onLongWork(next: WorkListener | undefined): void {
  listener = next
}

/** Sends a message to the listener of long work. */
export const noticeWork = (message: string): void => listener?.notice(message)

/** One piece of work. It is shown only if it takes long. */
export class LongWork {
  private readonly start: number
  private shown = -Infinity

  constructor(
    private readonly what: string,
    private readonly total: number,
    private readonly unit: WorkUnit = 'examples',
    private readonly now: () => number = () => performance.now() / 1000,
  ) {
    this.start = now()
  }

  /** Says that `done` of `total` is done. Cheap enough to call for each example. */
  at(done: number): void {
    if (listener === undefined) return
    const now = this.now()
    if (now - this.start < SHOWN_AFTER_SECONDS || now - this.shown < EVERY_SECONDS) return
    this.shown = now
    this.report(done)
  }

  /** Says that the work has ended, if it was shown. */
  end(): void {
    if (this.shown > -Infinity) this.report(this.total)
  }

  private report(done: number): void {
    const { what, total, unit } = this
    listener?.progress({ what, done, total, unit })
  }
}
