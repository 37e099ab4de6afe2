/**
 * The first SIGINT (Ctrl-C) or SIGTERM aborts `signal`; the second one ends the process immediately, with exit code
 * 130. `stop` restores the default behaviour of these signals.
 */
export function onInterrupt(announce: () => void): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController()
  const handle = (): void => {
    if (controller.signal.aborted) process.exit(130)
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
