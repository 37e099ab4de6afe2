import { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import { clientGone } from './request-signal.js'

/** One message of a stream of server-sent events. */
export interface ServerEvent {
  /** Its kind, for APIs that name their events. */
  readonly event?: string
  /** Sent as JSON, or as it is if it is a string. */
  readonly data: unknown
}

/** An answer that is sent as server-sent events. Its first event is ready: what fails before it has an HTTP status. */
export class EventStream {
  private constructor(
    readonly first: IteratorResult<ServerEvent, void>,
    readonly rest: AsyncGenerator<ServerEvent, void, undefined>,
    /** What is sent, as the last event, if the stream fails. */
    readonly onError: (error: unknown) => readonly ServerEvent[],
  ) {}

  static async begin(
    events: AsyncGenerator<ServerEvent, void, undefined>,
    onError: (error: unknown) => readonly ServerEvent[],
  ): Promise<EventStream> {
    return new EventStream(await events.next(), events, onError)
  }
}

/** While nothing is sent for so long, a comment is, since proxies close silent connections (nginx after 60 s). */
const SILENT_SECONDS = 15

/**
 * Sends a stream. The next event is asked for only when the client has taken the ones before, so a slow client buffers
 * no more than the socket does. A client that reads nothing for `stalledSeconds` loses its connection.
 */
export async function sendEvents(
  reply: FastifyReply,
  stream: EventStream,
  stalledSeconds: number,
  onError: (error: unknown) => void,
): Promise<void> {
  const { raw } = reply
  const headers = { ...reply.getHeaders(), 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }
  reply.hijack()
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) raw.setHeader(name, value)
  raw.writeHead(200)
  closeWhenStalled(reply, stalledSeconds)
  const beat = setInterval(
    () => {
      if (!raw.writableNeedDrain) raw.write(': waiting\n\n')
    },
    Math.min(SILENT_SECONDS, stalledSeconds / 2) * 1000,
  )
  const send = async (event: ServerEvent): Promise<void> => {
    beat.refresh()
    if (!raw.write(formatted(event))) await drained(reply)
  }
  try {
    if (!stream.first.done) await send(stream.first.value)
    for await (const event of stream.rest) await send(event)
  } catch (error) {
    onError(error)
    if (!raw.destroyed) for (const event of stream.onError(error)) raw.write(formatted(event))
  } finally {
    clearInterval(beat)
    await stream.rest.return()
    raw.end()
  }
}

function formatted({ event, data }: ServerEvent): string {
  const text = typeof data === 'string' ? data : JSON.stringify(data)
  return `${event === undefined ? '' : `event: ${event}\n`}data: ${text}\n\n`
}

/**
 * Lets a reply's connection end when nothing is sent or received on it for so long. What waits in a buffer of a client
 * that does not read counts as nothing.
 */
export function closeWhenStalled({ raw }: FastifyReply, seconds: number): void {
  // The requests of `inject` have no socket.
  if (raw.socket instanceof Socket) raw.setTimeout(seconds * 1000)
}

/** Resolves when the client has taken what was written. Rejects when it is gone. */
function drained({ raw }: FastifyReply): Promise<void> {
  return new Promise((resolve, reject) => {
    const onDrain = (): void => {
      raw.off('close', onClose)
      resolve()
    }
    const onClose = (): void => {
      raw.off('drain', onDrain)
      reject(clientGone())
    }
    raw.once('drain', onDrain).once('close', onClose)
    if (raw.destroyed) onClose()
  })
}
