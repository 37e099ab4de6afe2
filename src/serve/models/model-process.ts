import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { SwitchyardError } from '../../base/errors.js'
import { AbortWatch } from '../../infer/abort-watch.js'
import type { AnswerToken } from '../../infer/answer-piece.js'
import type { TextSide } from '../../infer/text-answers.js'
import { EventQueue } from './event-queue.js'
import type { Calls, FromModel, Method, Opening, ToModel } from './messages.js'
import { UnreadAnswerError } from './model-errors.js'
import type { ModelWatch } from './model-source.js'
import { endingOf } from './process-ending.js'
import type { Ending } from './process-ending.js'
import { SentCalls } from './sent-calls.js'
import { fromSent } from './sent-errors.js'
import type {
  Embedded,
  EmbedRequest,
  GenerateEvent,
  GenerateRequest,
  ModelFacts,
  ModelStatistics,
  ScoredTarget,
  ScoreRequest,
  ServedModel,
} from './served-model.js'
import { countsOf, noStatistics, sumOf } from './statistics.js'
import { processorTimeOf, Watchdog } from './watchdog.js'
import type { WatchdogLimits } from './watchdog.js'

/** The compiled entry of the process. It is missing where TypeScript runs without a build, as in unit tests. */
const ENTRY = new URL('./process-entry.js', import.meta.url)

/** The first restart is at once. If the process ends again within a minute, the next one waits, up to half a minute. */
const RESTART_SECONDS = [0, 0.5, 1, 2, 4, 8, 16, 30]
const STABLE_SECONDS = 60

/**
 * How many parts of each answer may wait for a reader, besides those in the buffers of its connection. A reader that is
 * further behind would be generated for without an end: its request is cancelled.
 */
const MOST_UNREAD = 256

/** How long statistics are waited for, in seconds: during a long pass, the last ones are told. */
const STATISTICS_SECONDS = 1

/**
 * A model in a process of its own, so that the server answers while the model computes, and goes on if the process is
 * killed, crashes or hangs: the requests that it was answering fail, and the process is started again. Requests that
 * come meanwhile wait for it.
 */
export class ModelProcess implements ServedModel {
  facts!: ModelFacts
  private readonly opening: Opening
  private child: ChildProcess | undefined
  /** Settles when the current start of the process has. */
  private ready: Promise<void> = Promise.resolve()
  private isReady = false
  private readonly closing = new AbortController()
  private readonly signals = new AbortWatch()
  private readonly calls = new SentCalls(message => this.send(message), this.signals)
  private restarts = 0
  /** What the next start opens: the same checkpoint of a run, though there may be a better one meanwhile. */
  private next: Opening
  /** The statistics of the current process when they were last asked for, and the counts of those before. */
  private last = noStatistics
  private before = noStatistics

  private constructor(
    opening: Opening,
    private readonly watch: ModelWatch,
    private readonly entry: URL,
    private readonly watchdog?: WatchdogLimits,
  ) {
    this.next = opening
    // When it is started again, the other copies have been loaded.
    this.opening = { ...opening, copies: 1 }
  }

  /** Starts the process, and resolves when the model is loaded. Rejects with the error of loading it. */
  static async start(
    opening: Opening,
    watch: ModelWatch,
    entry = ENTRY,
    watchdog?: WatchdogLimits,
  ): Promise<ModelProcess> {
    const model = new ModelProcess(opening, watch, entry, watchdog)
    const stop = (): void => void model.close()
    watch.signal.addEventListener('abort', stop)
    try {
      watch.signal.throwIfAborted()
      await model.begin()
      return model
    } catch (error) {
      await model.close()
      throw watch.signal.aborted ? watch.signal.reason : error
    } finally {
      watch.signal.removeEventListener('abort', stop)
    }
  }

  private get isClosed(): boolean {
    return this.closing.signal.aborted
  }

  /** Whether requests need not wait for a start of the process. */
  get isAvailable(): boolean {
    return this.isReady
  }

  /** The id of the process, to be shown. */
  get pid(): number | undefined {
    return this.child?.pid
  }

  async *generate(asked: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateEvent, void, undefined> {
    signal.throwIfAborted()
    const events = new EventQueue<GenerateEvent>()
    const left = new AbortController()
    const forget = this.signals.add(signal, () => left.abort(signal.reason))
    const mostUnread = MOST_UNREAD * (asked.options.numReturned ?? 1)
    const onEvent = (event: GenerateEvent): void => {
      if (events.push(event) > mostUnread) left.abort(unread(mostUnread))
    }
    this.call('generate', asked, left.signal, onEvent).then(
      () => events.end(),
      (error: unknown) => events.fail(error),
    )
    try {
      yield* events
    } finally {
      forget()
      left.abort()
    }
  }

  score(asked: ScoreRequest, signal: AbortSignal): Promise<readonly ScoredTarget[]> {
    return this.call('score', asked, signal)
  }

  embed(asked: EmbedRequest, signal: AbortSignal): Promise<Embedded> {
    return this.call('embed', asked, signal)
  }

  tokenize(text: string, as: TextSide): Promise<readonly AnswerToken[]> {
    return this.call('tokenize', { text, as })
  }

  detokenize(tokens: readonly number[], as: TextSide): Promise<string> {
    return this.call('detokenize', { tokens, as })
  }

  /** The counts go on when the process is started again. While the process computes, they may be those of before. */
  async statistics(): Promise<ModelStatistics> {
    if (this.isReady)
      await Promise.race([this.readStatistics(), sleep(STATISTICS_SECONDS * 1000, undefined, { ref: false })])
    return sumOf([this.before, this.last])
  }

  private async readStatistics(): Promise<void> {
    const { child } = this
    const statistics = await this.call('statistics', null)
    if (this.child === child) this.last = statistics
  }

  async close(): Promise<void> {
    this.closing.abort()
    const { child } = this
    this.endCalls(this.closedError())
    if (child && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise(resolve => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
    }
  }

  /** Calls a method of the process's model. */
  private async call<M extends Method>(
    method: M,
    asked: Calls[M]['asked'],
    signal?: AbortSignal,
    onEvent?: (event: GenerateEvent) => void,
  ): Promise<Calls[M]['result']> {
    if (!this.isReady) await this.untilReady(signal)
    signal?.throwIfAborted()
    if (this.isClosed) throw this.closedError()
    return this.calls.call(method, asked, signal, onEvent)
  }

  /** Ends all calls that have been sent: the process answers none of them. */
  private endCalls(error: unknown): void {
    this.isReady = false
    this.calls.fail(error)
  }

  /** Waits until the process has started, or rejects with the signal's reason. */
  private async untilReady(signal?: AbortSignal): Promise<void> {
    let forget: (() => void) | undefined
    const aborted = new Promise<never>((_, reject) => {
      if (signal) forget = this.signals.add(signal, () => reject(signal.reason as Error))
    })
    try {
      await Promise.race([this.ready, aborted])
    } finally {
      forget?.()
    }
  }

  /** Starts the process. */
  private begin(): Promise<void> {
    this.ready = this.open()
    this.ready.catch(() => undefined) // Those that wait for it get the error.
    return this.ready
  }

  private open(): Promise<void> {
    const { name } = this.opening
    // What the process prints goes to the standard error: the standard output is the server's.
    const child = fork(fileURLToPath(this.entry), [name], { serialization: 'advanced', stdio: ['ignore', 2, 2, 'ipc'] })
    this.child = child
    const started = performance.now()
    let hang: string | undefined
    const onHang = (how: string): void => {
      hang = how
      child.kill('SIGKILL')
    }
    const processorTime = (): number | undefined => processorTimeOf(child.pid)
    const watchdog = new Watchdog({ ping: () => this.send({ kind: 'ping' }), processorTime }, onHang, this.watchdog)
    return new Promise((resolve, reject) => {
      child.on('message', (message: FromModel) => {
        watchdog.answered()
        switch (message.kind) {
          case 'pong':
            break
          case 'notice':
            this.watch.onNotice(message.message, 'info')
            break
          case 'replies':
            message.replies.forEach(reply => this.calls.receive(reply))
            break
          case 'failed':
            reject(fromSent(message.error))
            child.kill('SIGKILL')
            break
          case 'opened':
            this.facts = message.facts
            this.next = sameAgain(this.opening, message.facts)
            this.isReady = true
            resolve()
        }
      })
      child.on('error', reject) // It could not be started.
      child.on('exit', (code, signal) => {
        watchdog.stop()
        const ending = endingOf(code, signal, hang)
        reject(new SwitchyardError(`the process that loads the model ${name} ${ending.what}${ending.details}`))
        if (this.isReady) this.restart(ending, (performance.now() - started) / 1000)
      })
      this.send({ kind: 'open', opening: this.next })
    })
  }

  /** Starts the process again after it has run for so many seconds. */
  private restart({ what, details }: Ending, seconds: number): void {
    if (this.isClosed) return
    const { name } = this.opening
    this.endCalls(
      new SwitchyardError(
        `the process of the model ${name} ${what} while it answered this request; it is started again`,
      ),
    )
    this.before = sumOf([this.before, countsOf(this.last)])
    this.last = noStatistics
    this.watch.onAvailable(false)
    if (seconds > STABLE_SECONDS) this.restarts = 0
    this.ready = this.restarted(`its process ${what}${details}`)
    this.ready.catch(() => undefined)
  }

  /** Waits as long as it must between two starts, and starts the process. If that fails, it is tried again. */
  private async restarted(reason: string): Promise<void> {
    const wait = RESTART_SECONDS[Math.min(this.restarts++, RESTART_SECONDS.length - 1)]
    this.watch.onNotice(`${reason}; it is started again${wait > 0 ? ` in ${wait} s` : ''}`, 'warn')
    const { signal } = this.closing
    await sleep(wait * 1000, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return
    try {
      await this.open()
    } catch (error) {
      // The requests that have waited get the error; those that come from now on wait for the next start. If a training
      // has deleted the checkpoint, that takes another one.
      this.next = this.opening
      if (!this.isClosed) {
        this.ready = this.restarted((error as Error).message)
        this.ready.catch(() => undefined)
      }
      throw error
    }
    this.watch.onAvailable(true)
  }

  private closedError(): SwitchyardError {
    return new SwitchyardError(`the model ${this.opening.name} is closed`)
  }

  private send(message: ToModel): void {
    // If it cannot be sent, the process is about to end, and its end rejects the calls.
    this.child?.send(message, () => undefined)
  }
}

/** Opens what was opened: of a run, its checkpoint; with as much memory for experts, if they are paged. */
export const sameAgain = (opening: Opening, { path, expertsMemory }: ModelFacts): Opening => ({
  ...opening,
  ...(path !== opening.path && { path, checkpoint: undefined }),
  ...(expertsMemory !== undefined && { expertsMemory }),
})

const unread = (most: number): UnreadAnswerError =>
  new UnreadAnswerError(`the client does not read: ${most} parts of its answer wait, and no more are generated`)
