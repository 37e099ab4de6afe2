import { ConfigError } from '../../base/errors.js'
import { cachedPromise } from '../../base/promise-cache.js'
import { quote } from '../format.js'

type Environment = Readonly<Record<string, string | undefined>>

/** The proxies that the environment names, as curl and Python's requests read it; lower case wins. */
interface Proxies {
  readonly http?: string
  readonly https?: string
  /** Hosts that are reached without a proxy. */
  readonly none: string
}

/** `fetch` as requests are to be made, and a clause for error messages that names the proxy. */
export interface ProxiedFetch {
  readonly fetch: typeof fetch
  /** Empty without a proxy. Without the password that a proxy's URL may have. */
  readonly clause: string
}

function proxiesOf(env: Environment): Proxies {
  const first = (...names: readonly string[]): string | undefined =>
    names.flatMap(name => [env[name], env[name.toUpperCase()]]).find(Boolean)
  const address = (text: string | undefined): string | undefined =>
    text === undefined || text.includes('://') ? text : `http://${text}`
  return {
    http: address(first('http_proxy', 'all_proxy')),
    https: address(first('https_proxy', 'all_proxy')),
    none: first('no_proxy') ?? '',
  }
}

/** By their proxies: an agent keeps connections open. */
const made = new Map<string, Promise<ProxiedFetch>>()

/**
 * `fetch` through the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names, except for the hosts in NO_PROXY. Node
 * 20's own `fetch` reads none of them. Throws a ConfigError if a variable is no address of a proxy.
 */
export function proxiedFetch(env: Environment = process.env): Promise<ProxiedFetch> {
  const proxies = proxiesOf(env)
  if (proxies.http === undefined && proxies.https === undefined) return Promise.resolve({ fetch, clause: '' })
  return cachedPromise(made, JSON.stringify(proxies), () => make(proxies))
}

async function make({ http, https, none }: Proxies): Promise<ProxiedFetch> {
  for (const proxy of [http, https])
    if (proxy !== undefined && !(URL.canParse(proxy) && ['http:', 'https:'].includes(new URL(proxy).protocol)))
      throw new ConfigError(
        `the environment names the proxy ${quote(withoutPassword(proxy))}: it must be the address of an HTTP proxy, such as http://proxy.example.org:3128 (HTTPS_PROXY, HTTP_PROXY or ALL_PROXY)`,
      )
  const { EnvHttpProxyAgent, fetch: fetchWith } = await import('undici')
  const dispatcher = new EnvHttpProxyAgent({ httpProxy: http, httpsProxy: https, noProxy: none, proxyTunnel: false })
  const send = (input: string | URL, init?: object): Promise<unknown> => fetchWith(input, { ...init, dispatcher })
  return {
    fetch: send as typeof fetch,
    clause: `, through the proxy ${new URL((https ?? http)!).host} of the environment`,
  }
}

const withoutPassword = (proxy: string): string => proxy.replace(/\/\/[^@/]*@/, '//')
