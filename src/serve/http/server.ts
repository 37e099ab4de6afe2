import type { AddressInfo } from 'node:net'
import { ConfigError } from '../../base/errors.js'
import { Admission } from '../admission/admission.js'
import { chatTemplate } from '../api/chat-template.js'
import type { ServerContext } from '../api/context.js'
import { ServingMetrics } from '../metrics/serving-metrics.js'
import type { NoticeLevel } from '../models/model-source.js'
import type { ModelRegistry } from '../models/registry.js'
import type { ApiSettings } from '../settings.js'
import { makeApp } from './app.js'
import { RunningRequests } from './shutdown.js'

/** A server that listens. */
export interface HttpServer {
  /** Its address: `http://127.0.0.1:8000`. */
  readonly url: string
  /** Refuses new requests, finishes those that run, and ends. Calling it again waits for the same end. */
  close(): Promise<void>
  /** Writes a message about a model into the log. */
  note(model: string, message: string, level: NoticeLevel): void
}

/** What the requests to a server of these models share. */
export const serverContext = (models: ModelRegistry, settings: ApiSettings): ServerContext => ({
  models,
  settings,
  chatTemplate: chatTemplate(settings.chatTemplate),
  admission: new Admission(settings.maxQueued),
  running: new RunningRequests(),
  metrics: new ServingMetrics(() => models.models),
})

/** How long connections may stay open after the last answer was sent. */
const UNUSED_MS = 200

/** Listens for requests. The models may still be loading: what needs them is answered with 503 until then. */
export async function listen(models: ModelRegistry, settings: ApiSettings): Promise<HttpServer> {
  const context = serverContext(models, settings)
  const app = await makeApp(context)
  const { host, port } = settings
  try {
    await app.listen({ host, port })
  } catch (error) {
    await app.close()
    throw listenError(error, host, port)
  }
  const { port: chosen } = app.server.address() as AddressInfo
  let closed: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    await context.running.stop(settings.stopSeconds)
    // Connections on which nothing was ever asked are not idle for Node, and would be waited for.
    const timer = setTimeout(() => app.server.closeAllConnections(), UNUSED_MS)
    await app.close()
    clearTimeout(timer)
  }
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${chosen}`,
    close: () => (closed ??= stop()),
    note: (model, message, level) => app.log[level]({ model }, message),
  }
}

function listenError(error: unknown, host: string, port: number): unknown {
  switch ((error as { code?: string }).code) {
    case 'EADDRINUSE':
      return new ConfigError(
        `port ${port} of ${host} is in use: stop what uses it, or choose another port (0: a free one)`,
      )
    case 'EACCES':
      return new ConfigError(`port ${port} may not be used by this user: choose one above 1023`)
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ConfigError(`${host} is not an address of this machine: choose 127.0.0.1, or 0.0.0.0 for all of them`)
    default:
      return error
  }
}
