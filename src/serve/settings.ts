import { ConfigError } from '../base/errors.js'
import { DEFAULT_MEMORY_BYTES, DEFAULT_ROWS } from '../infer/limits.js'
import type { ModelLimits } from './models/messages.js'
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
  /** The most answers, or beams, that wait or run at once. What is beyond is refused with 429. Default: 2048. */
  readonly maxQueued: number
  /** After so many seconds a request that is not answered ends with 504; null: never. Default: 600. */
  readonly deadlineSeconds: number | null
  /** How long a stopping server lets running requests finish, in seconds. Default: 30. */
  readonly stopSeconds: number
  /** The largest body of a request, in bytes. Default: 8 MiB. */
  readonly bodyLimit: number
  /** How long a client may take to send its request, or may read nothing of its answer, in seconds. Default: 30. */
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
  /** The models to serve. If there are several, each request must name one. */
  readonly models: readonly ModelSource[]
  /**
   * What each model takes on at most. Default: inputs of 2048 tokens, answers of 1024, 64 answers at once, 1 GiB for
   * them.
   */
  readonly limits?: Partial<ModelLimits>
  /** How many processes each model has. They divide its requests and the processors. Default: 1. */
  readonly replicas?: number
  /** Finds the folder of a model by its path. Default: the path, or else the shipped model of this name. */
  readonly findFolder?: (source: ModelSource) => Promise<string>
  /** The URL of a module that exports `findModelValues`, for models with a router or a meaning of their own. */
  readonly valuesModule?: string
  /** Receives messages for a person, each about one model. They are also logged. */
  readonly onNotice?: (model: string, message: string) => void
}

export const defaultLimits: ModelLimits = {
  maxInputTokens: 2048,
  maxNewTokens: 1024,
  maxRows: DEFAULT_ROWS,
  maxMemoryBytes: DEFAULT_MEMORY_BYTES,
}

/** Throws a ConfigError if settings cannot be used. */
export function checkSettings(settings: ApiSettings): void {
  const { port, apiKeys, adminKeys, answerSeparator } = settings
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new ConfigError(`the port is ${port}: it must be a whole number from 0 to 65535`)
  if ([...apiKeys, ...adminKeys].some(key => !/^[\x21-\x7e]+$/.test(key)))
    throw new ConfigError('a key is empty, or has spaces or characters that are not ASCII: no client can send it')
  if (answerSeparator === '') throw new ConfigError('the answer separator is empty: every prompt has it')
  const positive = ['maxQueued', 'bodyLimit', 'requestSeconds', 'deadlineSeconds'] as const
  for (const name of positive) {
    const value = settings[name]
    if (value !== null && !(value > 0)) throw new ConfigError(`${name} is ${value}: it must be greater than 0`)
  }
}
