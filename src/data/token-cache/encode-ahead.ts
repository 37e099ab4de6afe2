import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { isBuiltIn } from '../../text/from-json.js'
import type { Vocabulary } from '../../text/vocabulary.js'
import type { Dataset } from '../dataset.js'
import { noticeWork } from '../long-work.js'
import type { Feature, Fields, PreprocessorContext } from '../preprocessor.js'
import type { EncodedTexts, EncoderAnswer, EncoderInput, Ping, TextsToEncode } from './encoding-messages.js'
import type { Encoding } from './encoding.js'

/** The compiled worker. It is missing where TypeScript runs without a build, as in unit tests. */
const WORKER = new URL('./encoding-worker.js', import.meta.url)

/** Examples whose texts a worker encodes at a time. */
const CHUNK = 64
/** How often this thread checks that the workers still run while it waits for them. */
const CHECK_MS = 50
/** So many chunks a worker are sent ahead of the one that is waited for. */
const AHEAD = 3
const MAX_WORKERS = 8

/** Texts that worker threads encode before they are needed. */
export interface EncodedAhead {
  /** A context whose vocabularies know the ids of texts that were encoded ahead. They encode other texts themselves. */
  readonly context: Encoding['context']
  /** Waits until the texts of an example are encoded. Examples are asked for in order. */
  before(index: number): void
  stop(): void
}

export interface EncodeAheadOptions {
  readonly workers?: number
  readonly script?: URL
  /** Workers that do not answer for this long have failed: this thread encodes the rest. Default: 30 s. */
  readonly patienceMs?: number
}

/**
 * Encodes the texts of examples in worker threads, ahead of this thread, which waits for them without giving up its
 * turn: the callers are synchronous. Which texts these are, the preprocessors themselves show, run once with
 * vocabularies that note what they are given. Undefined if a vocabulary cannot be sent to a thread.
 */
export function encodeAhead(encoding: Encoding, options: EncodeAheadOptions = {}): EncodedAhead | undefined {
  const { workers = Math.min(MAX_WORKERS, availableParallelism()), script = WORKER, patienceMs = 30_000 } = options
  const vocabularies = [...new Set(Object.values(encoding.context.features).map(({ vocabulary }) => vocabulary))]
  if (!existsSync(fileURLToPath(script)) || !vocabularies.every(isBuiltIn)) return undefined
  return new Encoders(encoding, vocabularies, { workers, script, patienceMs })
}

class Encoders implements EncodedAhead {
  readonly context: Encoding['context']
  private readonly answers = new Int32Array(new SharedArrayBuffer(4))
  private workers: { worker: Worker; port: MessagePort }[]
  private readonly noting: Dataset<Fields>
  /** The texts that the noting examples have been asked for, by vocabulary. */
  private noted: string[][]
  /** The ids of the current chunk's texts, by vocabulary. */
  private readonly known: Map<string, Int32Array>[]
  private readonly sent = new Map<number, readonly (readonly string[])[]>()
  private readonly received = new Map<number, EncodedTexts>()
  private next = 0
  private current = -1
  /** Why a worker has failed. */
  private failure: string | undefined

  constructor(
    private readonly encoding: Encoding,
    private readonly vocabularies: readonly Vocabulary[],
    private readonly options: Required<EncodeAheadOptions>,
  ) {
    this.noted = vocabularies.map(() => [])
    this.known = vocabularies.map(() => new Map<string, Int32Array>())
    this.context = this.contextWith((vocabulary, v) => text => {
      const ids = this.known[v].get(text)
      // Each call returns an array of its own, as `encode` does: a preprocessor may change it.
      return ids === undefined ? vocabulary.encode(text) : Array.from(ids)
    })
    const noting = this.contextWith((_, v) => text => {
      this.noted[v].push(text)
      return []
    })
    this.noting = encoding.stages.reduce((data, stage) => stage.apply(data, noting), encoding.source)
    const specs = vocabularies.map(vocabulary => vocabulary.toJSON())
    this.workers = Array.from({ length: options.workers }, () => {
      const { port1, port2 } = new MessageChannel()
      const workerData: EncoderInput = { vocabularies: specs, port: port2, answers: this.answers }
      const worker = new Worker(options.script, { workerData, transferList: [port2] })
      // These events arrive only when this thread is not waiting. While it waits, `hasEnded` notices the end.
      worker.on('error', error => {
        this.failure ??= String(error)
      })
      worker.on('exit', code => {
        this.failure ??= `a worker thread has ended with the code ${code}`
      })
      worker.unref()
      port1.unref()
      return { worker, port: port1 }
    })
  }

  before(index: number): void {
    const chunk = Math.floor(index / CHUNK)
    if (chunk === this.current) return
    this.current = chunk
    for (const known of this.known) known.clear()
    if (this.workers.length === 0) return
    this.send(chunk + AHEAD * this.workers.length)
    const texts = this.sent.get(chunk)
    this.sent.delete(chunk)
    const answer = this.receive(chunk)
    if (texts === undefined || answer === undefined) return
    for (const [v, { ids, ends }] of answer.encoded.entries())
      for (const [i, text] of texts[v].entries())
        this.known[v].set(text, ids.subarray(i === 0 ? 0 : ends[i - 1], ends[i]))
  }

  stop(): void {
    for (const { worker, port } of this.workers) {
      port.close()
      void worker.terminate()
    }
    this.workers = []
  }

  /** Sends the chunks before `end` that have not been sent. */
  private send(end: number): void {
    const chunks = Math.ceil(this.noting.length / CHUNK)
    for (; this.next < Math.min(end, chunks); this.next++) {
      const texts = this.textsOf(this.next)
      this.sent.set(this.next, texts)
      const message: TextsToEncode = { chunk: this.next, texts }
      this.workers[this.next % this.workers.length].port.postMessage(message)
    }
  }

  private textsOf(chunk: number): string[][] {
    this.noted = this.vocabularies.map(() => [])
    try {
      for (let i = chunk * CHUNK; i < Math.min((chunk + 1) * CHUNK, this.noting.length); i++) this.noting.get(i)
    } catch {
      // What is wrong with an example shows when it is computed.
    }
    return this.noted
  }

  /** Waits for a chunk. Undefined if the workers have failed: then they are stopped, which is said. */
  private receive(chunk: number): EncodedTexts | undefined {
    const { patienceMs } = this.options
    const start = performance.now()
    for (;;) {
      const before = Atomics.load(this.answers, 0)
      for (const { port } of this.workers)
        for (let message = receiveMessageOnPort(port); message; message = receiveMessageOnPort(port)) {
          const answer = message.message as EncoderAnswer
          if ('error' in answer) this.failure ??= answer.error
          else this.received.set(answer.chunk, answer)
        }
      const answer = this.received.get(chunk)
      this.received.delete(chunk)
      if (answer !== undefined) return answer
      if (this.failure !== undefined) return this.giveUp(this.failure)
      if (Atomics.wait(this.answers, 0, before, Math.min(CHECK_MS, patienceMs)) !== 'timed-out') continue
      if (this.workers.some(hasEnded)) this.failure = 'a worker thread could not start, or has ended'
      else if (performance.now() - start > patienceMs) this.failure = `no answer in ${patienceMs / 1000} s`
    }
  }

  private giveUp(reason: string): undefined {
    this.stop()
    noticeWork(
      `encoding ${this.encoding.name}: the worker threads have failed (${reason}); one thread encodes the rest`,
    )
  }

  private contextWith(encode: (vocabulary: Vocabulary, v: number) => Vocabulary['encode']): Encoding['context'] {
    const { context } = this.encoding
    const replaced = this.vocabularies.map((vocabulary, v) => withEncode(vocabulary, encode(vocabulary, v)))
    const features: { [feature: string]: Feature } = {}
    for (const [name, feature] of Object.entries(context.features))
      features[name] = { ...feature, vocabulary: replaced[this.vocabularies.indexOf(feature.vocabulary)] }
    return { ...context, features: features satisfies PreprocessorContext['features'] }
  }
}

/**
 * Whether a worker thread has ended, for example because a module that Node preloads throws there. Node returns false
 * when a message has no receiver any more. Its documentation does not say so: without it, patience decides.
 */
const hasEnded = ({ port }: { readonly port: MessagePort }): boolean =>
  (port.postMessage as (message: Ping) => unknown).call(port, 'ping') === false

/** A vocabulary that encodes by another function. */
const withEncode = (vocabulary: Vocabulary, encode: Vocabulary['encode']): Vocabulary => ({
  size: vocabulary.size,
  padId: vocabulary.padId,
  eosId: vocabulary.eosId,
  unkId: vocabulary.unkId,
  sentinelIds: vocabulary.sentinelIds,
  encode,
  ...(vocabulary.withSpecialTokens && {
    withSpecialTokens: (ids: readonly number[]) => vocabulary.withSpecialTokens!(ids),
  }),
  decode: ids => vocabulary.decode(ids),
  stream: () => vocabulary.stream(),
  bytesOf: id => vocabulary.bytesOf?.(id),
  toJSON: () => vocabulary.toJSON(),
})
