import { readFileSync } from 'node:fs'

/** A process that is watched. */
export interface WatchedProcess {
  /** Asks the process for a sign of life. Its answer is told to `Watchdog.answered`. */
  ping(): void
  /** The processor time of its main thread, in any unit; undefined if this system does not tell. */
  processorTime(): number | undefined
}

export interface WatchdogLimits {
  /** How often the process is asked, in seconds. */
  readonly interval: number
  /** A process that is silent for so many seconds and uses no processor time meanwhile hangs. */
  readonly idleSeconds: number
  /** A process that is silent for so many seconds hangs, also if it computes. */
  readonly busySeconds: number
}

/**
 * A process computes one pass at a time, and answers between two passes. A pass takes seconds (an encoder of 1.5
 * billion parameters, 2048 tokens, 2 cores: about a minute), so time alone does not tell a long pass from a process
 * that hangs. But a pass uses processor time, and a process that is stopped or waits for ever uses none. One that is
 * silent for 10 minutes, the default deadline of requests, answers nobody any more, whatever it does.
 */
const LIMITS: WatchdogLimits = { interval: 3, idleSeconds: 15, busySeconds: 600 }

/** Notices that a process hangs. */
export class Watchdog {
  /** Since when an answer is waited for: how many times the timer has looked, and the processor time at the first. */
  private waiting: { looks: number; readonly processorTime: number | undefined } | null = null
  private readonly timer: NodeJS.Timeout

  constructor(
    private readonly watched: WatchedProcess,
    private readonly onHang: (how: string) => void,
    private readonly limits = LIMITS,
  ) {
    this.timer = setInterval(() => this.look(), limits.interval * 1000)
    this.timer.unref()
  }

  /** The process has answered. */
  answered(): void {
    this.waiting = null
  }

  stop(): void {
    clearInterval(this.timer)
  }

  /** Time is counted in looks: while this process sleeps or is stopped itself, nobody could answer it. */
  private look(): void {
    const { watched, waiting, limits } = this
    if (waiting === null) {
      this.waiting = { looks: 0, processorTime: watched.processorTime() }
      watched.ping()
      return
    }
    const seconds = ++waiting.looks * limits.interval
    if (seconds < limits.idleSeconds) return
    const isIdle = waiting.processorTime !== undefined && watched.processorTime() === waiting.processorTime
    if (!isIdle && seconds < limits.busySeconds) return
    this.stop()
    this.onHang(`it answered nothing for ${seconds} seconds${isIdle ? ', and used no processor time' : ''}`)
  }
}

/**
 * The processor time of a process's main thread, which answers and computes, in ticks of the system's clock. undefined
 * on other systems than Linux: a process that hangs is noticed after `busySeconds` there.
 */
export function processorTimeOf(pid: number | undefined): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/task/${pid}/stat`, 'latin1')
    // The name of the program may hold spaces. `utime` and `stime` are the fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return Number(fields[11]) + Number(fields[12])
  } catch {
    return undefined
  }
}
