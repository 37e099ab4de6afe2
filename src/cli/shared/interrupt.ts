/**
 * The first SIGINT (Ctrl-C) or SIGTERM aborts `signal`. A further Ctrl-C ends the process immediately, with exit code
 * 130. A further SIGTERM does not: whatever stops a job, such as SLURM at its time limit, may send several at once, and
 * has SIGKILL for those that do not end. `stop` restores the default behaviour of these signals.
 */
export function onInterrupt(announce: () => void): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController()
  const handle = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) {
      if (name === 'SIGINT') process.exit(130)
      return
    }
    controller.abort()
    announce()
  }
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const name of signals) process.on(name, handle)
  return {
    signal: controller.signal,
    stop: () => {
      for (const name of signals) process.off(name, handle)
    },
  }
}
