import { setTimeout as sleep } from 'node:timers/promises'
import { formatDuration } from '../../base/format.js'
import { quote } from '../format.js'
import { HubError, refusal, TransientError, UnreachableError } from './errors.js'
import type { HubModel } from './name.js'
import { proxiedFetch } from './proxy.js'
import type { HubSettings } from './settings.js'

const maxRedirects = 10
/** A connection is given up if the server sends nothing for this time. */
const stallMs = 60_000
/** The longest wait in seconds that a server may ask for: the hub limits requests per five minutes. */
const maxWait = 300

export interface ConnectionOptions {
  readonly signal?: AbortSignal
  /** Called with a message for the user when a request is tried again. */
  readonly onNotice?: (message: string) => void
  /** The number of tries without progress. */
  readonly attempts?: number
  /** The wait before the second try, in seconds; it doubles with each further one. */
  readonly firstWait?: number
}

/** The response to a request, before its body is read. */
export interface HubResponse {
  readonly status: number
  readonly headers: Headers
  /** The checksum of the file's content according to the hub, sha256 or git's sha1, if it sends one. */
  readonly contentName?: string
  /** The body in pieces; can be read once. Throws a TransientError if the connection breaks. */
  chunks(): AsyncGenerator<Uint8Array>
  /** Ends a response whose body was not read to its end. */
  close(): Promise<void>
}

/**
 * Requests to one hub about one model. The token is sent to the hub's own origin only, never to a redirect elsewhere.
 */
export class Connection {
  private readonly origin: string

  constructor(
    readonly settings: HubSettings,
    readonly model: HubModel,
    private readonly options: ConnectionOptions = {},
  ) {
    this.origin = new URL(settings.endpoint).origin
  }

  /** The same connection, whose requests another signal ends too. */
  within(signal: AbortSignal | undefined): Connection {
    if (!signal) return this
    const own = this.options.signal
    return new Connection(this.settings, this.model, {
      ...this.options,
      signal: own ? AbortSignal.any([own, signal]) : signal,
    })
  }

  /** The URL of a file of the model at a commit. */
  urlOf(commit: string, file: string): string {
    const path = file.split('/').map(encodeURIComponent).join('/')
    return `${this.settings.endpoint}/${this.model.repo}/resolve/${commit}/${path}`
  }

  /**
   * Gets a URL, following redirects. Throws for any status but success and 416 (the requested range does not exist).
   */
  async get(url: string, headers: Readonly<Record<string, string>>): Promise<HubResponse> {
    const proxied = await proxiedFetch()
    const watch = new Watch(this.options.signal, proxied.clause)
    try {
      let address = new URL(url)
      let contentName: string | undefined
      for (let redirects = 0; redirects <= maxRedirects; redirects++) {
        const response = await watch.guard(address, () =>
          proxied.fetch(address, {
            headers: this.headersFor(address, headers),
            redirect: 'manual',
            signal: watch.signal,
          }),
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

  /**
   * Repeats `attempt` after a TransientError, with growing waits. Gives up after several tries in which `progress` did
   * not grow.
   */
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
    // Without compression: sizes and ranges must be those of the file itself.
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
      await reader?.cancel().catch(() => undefined) // the connection may be broken already
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

/** Codes of errors about certificates. Trying again does not help. */
const untrusted: readonly string[] = [
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_HAS_EXPIRED',
]

/** Ends a request when the server stalls or the user's signal fires, with an error that says which. */
class Watch {
  private readonly stalled = new AbortController()
  private readonly timer = setTimeout(() => this.stalled.abort(), stallMs)
  readonly signal: AbortSignal

  /** `clause` names the proxy in messages. */
  constructor(
    private readonly user: AbortSignal | undefined,
    private readonly clause: string,
  ) {
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
      const refused = /^Proxy response \((\d+)\)/.exec(rootMessage(error))?.[1]
      if (refused !== undefined)
        throw new HubError(
          `${url.host} was refused by the proxy${this.clause.replace(', through the proxy', '')} (HTTP ${refused})${refused === '407' ? ': put its user and password into HTTPS_PROXY, as in http://user:password@host:port' : ': check HTTPS_PROXY and NO_PROXY'}`,
          { cause: error },
        )
      if (untrusted.includes(rootCode(error)))
        throw new HubError(
          `${url.host} has a certificate that is not trusted (${rootMessage(error)})${this.clause}: if the network has a certificate of its own, name its file in NODE_EXTRA_CA_CERTS`,
          { cause: error },
        )
      const Kind = ['ENOTFOUND', 'EAI_AGAIN', 'bad port'].includes(rootCode(error)) ? UnreachableError : TransientError
      throw new Kind(
        `${url.host} cannot be reached, or the connection broke (${rootMessage(error)})${this.clause}`,
        undefined,
        {
          cause: error,
        },
      )
    }
  }

  end(): void {
    clearTimeout(this.timer)
  }
}

/** The innermost cause of an error. fetch's own message is only "fetch failed" or "terminated". */
function rootOf(error: unknown): unknown {
  let root = error
  while (root instanceof Error && root.cause instanceof Error) root = root.cause
  return root
}

/** The system's error code, or the innermost message if there is none. */
function rootCode(error: unknown): string {
  const root = rootOf(error)
  return root instanceof Error ? String('code' in root ? root.code : root.message) : ''
}

function rootMessage(error: unknown): string {
  const root = rootOf(error)
  if (!(root instanceof Error)) return String(root)
  return root.message || ('code' in root ? String(root.code) : root.name)
}

/**
 * The content's checksum: from the hub's header for files that are stored elsewhere, or from the ETag if it is a
 * checksum.
 */
function contentNameOf(headers: Headers): string | undefined {
  const names = [headers.get('x-linked-etag'), headers.get('etag')].map(
    tag => /^(?:W\/)?"?([0-9a-f]{64}|[0-9a-f]{40})"?$/.exec(tag ?? '')?.[1],
  )
  return names[0] ?? names[1]
}
