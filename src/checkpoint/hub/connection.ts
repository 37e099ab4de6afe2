import { setTimeout as sleep } from 'node:timers/promises'
import { formatDuration } from '../../base/format.js'
import { quote } from '../format.js'
import { HubError, refusal, TransientError, UnreachableError } from './errors.js'
import type { HubModel } from './name.js'
import type { HubSettings } from './settings.js'

const maxRedirects = 10
/** A server that sends nothing for so long is given up. */
const stallMs = 60_000
/** A server may ask for so long a wait, in seconds: the hub counts requests over five minutes. */
const maxWait = 300

export interface ConnectionOptions {
  readonly signal?: AbortSignal
  /** Told what a person should know: that something is tried again, and why. */
  readonly onNotice?: (message: string) => void
  /** How often something is tried without getting any further. */
  readonly attempts?: number
  /** The wait before the second try, in seconds; it doubles with each further one. */
  readonly firstWait?: number
}

/** An answer to a request, whose body is still to be read. */
export interface HubResponse {
  readonly status: number
  readonly headers: Headers
  /** What names the file's content according to the hub: sha256 or git's sha1, if it says. */
  readonly contentName?: string
  /** The body in pieces, once; a connection that breaks is a TransientError. */
  chunks(): AsyncGenerator<Uint8Array>
  /** Ends an answer whose body is not read, or not to its end. */
  close(): Promise<void>
}

/** Requests to one hub about one model. The token goes to the hub's own origin only, wherever a redirect leads. */
export class Connection {
  private readonly origin: string

  constructor(
    readonly settings: HubSettings,
    readonly model: HubModel,
    private readonly options: ConnectionOptions = {},
  ) {
    this.origin = new URL(settings.endpoint).origin
  }

  /** Gets a URL, following redirects. Whatever is no success is an error, but for a range that does not exist (416). */
  async get(url: string, headers: Readonly<Record<string, string>>): Promise<HubResponse> {
    const watch = new Watch(this.options.signal)
    try {
      let address = new URL(url)
      let contentName: string | undefined
      for (let redirects = 0; redirects <= maxRedirects; redirects++) {
        const response = await watch.guard(address, () =>
          fetch(address, { headers: this.headersFor(address, headers), redirect: 'manual', signal: watch.signal }),
        )
        if (address.origin === this.origin) contentName ??= contentNameOf(response.headers)
        const location = response.headers.get('location')
        if (![301, 302, 303, 307, 308].includes(response.status) || location === null)
          return this.answer(address, response, contentName, watch)
        await watch.guard(address, async () => response.body?.cancel())
        address = this.redirected(address, location)
      }
      throw new HubError(
        `${this.model.repo}: ${new URL(url).host} redirects more than ${maxRedirects} times: check HF_ENDPOINT`,
      )
    } catch (error) {
      watch.end()
      throw error
    }
  }

  /** Runs `attempt` again after a TransientError, with growing waits. Trying ends when `progress` has not grown for some tries. */
  async withRetries<T>(attempt: () => Promise<T>, progress: () => number = () => 0): Promise<T> {
    const { signal, onNotice, attempts = 5, firstWait = 1 } = this.options
    for (let failures = 1, reached = progress(); ; failures++) {
      try {
        return await attempt()
      } catch (error) {
        if (!(error instanceof TransientError)) throw error
        if (progress() > reached) {
          reached = progress()
          failures = 1
        }
        const wait = error.retryAfter ?? firstWait * 2 ** (failures - 1)
        if (wait > maxWait)
          throw new TransientError(
            `${error.message}, and asks to wait for ${formatDuration(wait)}: try again then`,
            wait,
            { cause: error },
          )
        if (failures >= (error instanceof UnreachableError ? Math.min(2, attempts) : attempts)) throw error
        onNotice?.(`${this.model.repo}: ${error.message}; trying again in ${formatDuration(wait)}`)
        await sleep(wait * 1000, undefined, { signal }).catch(() => signal?.throwIfAborted())
      }
    }
  }

  private headersFor(address: URL, headers: Readonly<Record<string, string>>): Record<string, string> {
    const { token } = this.settings
    // Sizes and ranges are those of the file itself, not of something compressed.
    return {
      'user-agent': 'switchyard',
      'accept-encoding': 'identity',
      ...headers,
      ...(token !== undefined && address.origin === this.origin && { authorization: `Bearer ${token}` }),
    }
  }

  private redirected(from: URL, location: string): URL {
    const to = URL.canParse(location, from) ? new URL(location, from) : undefined
    if (
      to !== undefined &&
      to.username + to.password === '' &&
      (to.protocol === 'https:' || (to.protocol === 'http:' && from.protocol === 'http:'))
    )
      return to
    throw new HubError(
      `${this.model.repo}: ${from.host} redirects to ${quote(location)}, which is not safe to follow: check HF_ENDPOINT`,
    )
  }

  private async answer(
    url: URL,
    response: Response,
    contentName: string | undefined,
    watch: Watch,
  ): Promise<HubResponse> {
    const { status, headers, body } = response
    const reader = body?.getReader()
    const close = async (): Promise<void> => {
      watch.end()
      await reader?.cancel().catch(() => undefined) // it may have broken before
    }
    if (![200, 206, 416].includes(status)) {
      await close()
      throw refusal({ url, status, headers }, this.model, this.settings.endpoint, this.settings.token !== undefined)
    }
    return {
      status,
      headers,
      contentName,
      close,
      async *chunks() {
        try {
          for (;;) {
            const piece = await watch.guard(url, async () => reader?.read())
            if (piece?.value === undefined) return
            yield piece.value
          }
        } finally {
          await close()
        }
      },
    }
  }
}

/** Gives up on a server that sends nothing, and on the user's signal; says which of the two it was. */
class Watch {
  private readonly stalled = new AbortController()
  private readonly timer = setTimeout(() => this.stalled.abort(), stallMs)
  readonly signal: AbortSignal

  constructor(private readonly user: AbortSignal | undefined) {
    this.signal = AbortSignal.any([this.stalled.signal, ...(user === undefined ? [] : [user])])
  }

  async guard<T>(url: URL, body: () => Promise<T>): Promise<T> {
    this.timer.refresh()
    try {
      return await body()
    } catch (error) {
      this.user?.throwIfAborted()
      if (this.stalled.signal.aborted)
        throw new TransientError(`${url.host} has sent nothing for ${formatDuration(stallMs / 1000)}`, undefined, {
          cause: error,
        })
      const Kind = ['ENOTFOUND', 'EAI_AGAIN', 'bad port'].includes(rootCode(error)) ? UnreachableError : TransientError
      throw new Kind(`${url.host} cannot be reached, or the connection broke (${rootMessage(error)})`, undefined, {
        cause: error,
      })
    }
  }

  end(): void {
    clearTimeout(this.timer)
  }
}

/** fetch says "fetch failed" or "terminated"; its causes say why. */
function rootOf(error: unknown): unknown {
  let root = error
  while (root instanceof Error && root.cause instanceof Error) root = root.cause
  return root
}

/** A system's code, or what fetch says where there is none. */
function rootCode(error: unknown): string {
  const root = rootOf(error)
  return root instanceof Error ? String('code' in root ? root.code : root.message) : ''
}

function rootMessage(error: unknown): string {
  const root = rootOf(error)
  if (!(root instanceof Error)) return String(root)
  return root.message || ('code' in root ? String(root.code) : root.name)
}

/** The hub's own header for files that are stored elsewhere, or the ETag if it is a checksum, too. */
function contentNameOf(headers: Headers): string | undefined {
  const names = [headers.get('x-linked-etag'), headers.get('etag')].map(
    tag => /^(?:W\/)?"?([0-9a-f]{64}|[0-9a-f]{40})"?$/.exec(tag ?? '')?.[1],
  )
  return names[0] ?? names[1]
}
