/** Calls functions when signals are aborted. Many requests may share a signal, which gets one listener for all. */
export class AbortWatch {
  private readonly watched = new Map<AbortSignal, { callbacks: Set<() => void>; listener: () => void }>()

  /** Calls `onAbort` when the signal is aborted. Returns a function that ends the watch. */
  add(signal: AbortSignal, onAbort: () => void): () => void {
    const entry = this.watched.get(signal) ?? this.listen(signal)
    entry.callbacks.add(onAbort)
    return () => {
      entry.callbacks.delete(onAbort)
      if (entry.callbacks.size === 0) this.forget(signal)
    }
  }

  private listen(signal: AbortSignal): { callbacks: Set<() => void>; listener: () => void } {
    const callbacks = new Set<() => void>()
    const listener = (): void => {
      this.watched.delete(signal)
      for (const call of callbacks) call()
    }
    const entry = { callbacks, listener }
    this.watched.set(signal, entry)
    signal.addEventListener('abort', listener, { once: true })
    return entry
  }

  private forget(signal: AbortSignal): void {
    const entry = this.watched.get(signal)
    if (!entry) return
    this.watched.delete(signal)
    signal.removeEventListener('abort', entry.listener)
  }
}
