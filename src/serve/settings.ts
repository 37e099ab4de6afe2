import type { ModelSource } from './models/model-source.js'

/** Settings of a server's HTTP side. */
export interface ApiSettings {
  /** The address to listen on. Default: 127.0.0.1, which only this machine reaches. */
  readonly host: string
  /** The port to listen on; 0: a free one. Default: 8000. */
  readonly port: number
  /** Keys of clients (`authorization: Bearer KEY`). Default: none, and everyone who reaches the server may use it. */
  readonly apiKeys: readonly string[]
  /** Keys for POST /admin/models. Default: none, and it is refused. */
  readonly adminKeys: readonly string[]
  /** Origins of web pages that may call the server from a browser (CORS); `*`: all. Default: none. */
  readonly corsOrigins: readonly string[]
  /** The most answers that wait or run at once. What is beyond is refused with 429. Default: 2048. */
  readonly maxQueued: number
  /** After so many seconds a request that is not answered ends with 504; null: never. Default: 600. */
  readonly deadlineSeconds: number | null
  /** How long a stopping server lets running requests finish, in seconds. Default: 30. */
  readonly stopSeconds: number
  /** The largest body of a request, in bytes. Default: 8 MiB. */
  readonly bodyLimit: number
  /** How long a client may take to send its request, in seconds. Default: 30. */
  readonly requestSeconds: number
  /** A Jinja template that makes one prompt of chat messages. Default: the system's texts and the last user's text. */
  readonly chatTemplate?: string
  /** If a prompt holds this text, what follows its last occurrence is the beginning of the answer. Default: none. */
  readonly answerSeparator?: string
  /** Which messages are logged, as one line of JSON each. Default: info. */
  readonly logLevel: 'silent' | 'error' | 'warn' | 'info' | 'debug'
  /** Receives the lines of the log. Default: standard output. */
  readonly log?: { write(line: string): void }
}

export const defaultSettings: ApiSettings = {
  host: '127.0.0.1',
  port: 8000,
  apiKeys: [],
  adminKeys: [],
  corsOrigins: [],
  maxQueued: 2048,
  deadlineSeconds: 600,
  stopSeconds: 30,
  bodyLimit: 8 * 2 ** 20,
  requestSeconds: 30,
  logLevel: 'info',
}

/** Settings of a server. */
export interface ServeSettings extends Partial<ApiSettings> {
  /** The models to serve. A request that names none goes to the first. */
  readonly models: readonly ModelSource[]
}
