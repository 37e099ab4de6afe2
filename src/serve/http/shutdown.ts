import { unavailable } from './api-error.js'

/** What is told to requests that a stopping server refuses, or ends when they take too long. */
export const stopping = (): Error =>
  unavailable('the server is stopping: ask another one, or try again later', 'stopping')

/** The requests that run, so that a server can finish them before it stops. */
export class RunningRequests {
  private readonly running = new Set<AbortController>()
  private onIdle: () => void = () => undefined
  private hasStopped = false

  get isStopping(): boolean {
    return this.hasStopped
  }

  /** Enters a request, until `leave`. Throws a 503 if the server is stopping. */
  enter(request: AbortController): void {
    if (this.hasStopped) throw stopping()
    this.running.add(request)
  }

  leave(request: AbortController): void {
    this.running.delete(request)
    if (this.running.size === 0) this.onIdle()
  }

  /**
   * Refuses new requests from now on. Resolves when the running ones have ended. After `seconds` they are aborted, and
   * have one second more.
   */
  async stop(seconds: number): Promise<void> {
    this.hasStopped = true
    if (this.running.size === 0) return
    const idle = new Promise<void>(resolve => (this.onIdle = resolve))
    if (await endsWithin(idle, seconds)) return
    for (const request of this.running) request.abort(stopping())
    await endsWithin(idle, 1)
  }
}

async function endsWithin(task: Promise<void>, seconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>(resolve => (timer = setTimeout(() => resolve(false), seconds * 1000)))
  const isInTime = await Promise.race([task.then(() => true), late])
  clearTimeout(timer)
  return isInTime
}
