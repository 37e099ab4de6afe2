import { readFile } from 'node:fs/promises'
import { withPath } from '../../checkpoint/files.js'
import type { ModelSource } from '../../serve/models/model-source.js'
import { serve } from '../../serve/serve.js'
import type { FailedModel } from '../../serve/serve.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import { findFolder } from '../shared/find-folder.js'
import { onInterrupt } from '../shared/interrupt.js'
import { bitsOf } from '../shared/options.js'
import type { PagingOptions } from '../shared/paging-options.js'
import { readKeys } from './keys.js'
import { namedModels } from './model-sources.js'

/** The options of the command. */
export interface ServeOptions extends PagingOptions {
  host?: string
  port?: number
  apiKey?: string[]
  apiKeyFile?: string
  adminKey?: string[]
  adminKeyFile?: string
  cors?: string[]
  replicas?: number
  quantize?: keyof typeof bitsOf
  checkpoint?: CheckpointChoice
  revision?: string
  maxInputTokens?: number
  maxNewTokens?: number
  maxRows?: number
  maxCache?: number
  maxQueue?: number
  deadline?: number
  answerSeparator?: string
  template?: string
  logLevel?: 'silent' | 'error' | 'warn' | 'info' | 'debug'
}

/** Loaded by models' processes, which find custom routers and meanings by it. */
const VALUES_MODULE = new URL('../shared/model-values.js', import.meta.url).href

/** Serves models until a signal stops it. Throws if none of them can be loaded. */
export async function serveModels(texts: readonly string[], options: ServeOptions): Promise<void> {
  const { host, port, cors, replicas, maxQueue, deadline, answerSeparator, template, logLevel } = options
  const { maxInputTokens, maxNewTokens, maxRows, maxCache, quantize, checkpoint, revision, expertsMemory, pins } =
    options
  const apiKeys = await readKeys({ given: options.apiKey, variable: 'SWITCHYARD_API_KEYS', file: options.apiKeyFile })
  const adminKeys = await readKeys({
    given: options.adminKey,
    variable: 'SWITCHYARD_ADMIN_KEYS',
    file: options.adminKeyFile,
  })
  const chatTemplate = template && (await withPath(template, () => readFile(template, 'utf8')))
  const models = await namedModels(texts, {
    revision,
    bits: quantize && bitsOf[quantize],
    checkpoint,
    expertsMemory,
    pins,
  })
  const { signal, stop } = onInterrupt(() =>
    console.error('stopping: running requests are finished, new ones refused; Ctrl-C (again) ends them at once'),
  )
  try {
    const server = await serve({
      models,
      host,
      port,
      apiKeys,
      adminKeys,
      corsOrigins: cors,
      maxQueued: maxQueue,
      deadlineSeconds: deadline === 0 ? null : deadline,
      chatTemplate,
      answerSeparator,
      logLevel,
      replicas,
      limits: { maxInputTokens, maxNewTokens, maxRows, maxMemoryBytes: maxCache && maxCache * 2 ** 20 },
      findFolder: ({ path, ...source }) => findFolder(path, source.revision, [], source.expertsMemory !== undefined),
      valuesModule: VALUES_MODULE,
    })
    try {
      const names = models.map(({ name }) => name).join(', ')
      console.error(`listening at ${server.url}, loading ${names}`)
      if (apiKeys.length === 0 && !isLoopback(new URL(server.url).hostname))
        console.error('warning: everyone who reaches this machine can use the server: give it keys (--api-key-file)')
      const stopped = aborted(signal)
      const failed = await Promise.race([server.ready, stopped])
      if (failed) sayReady(models, failed)
      await stopped
    } finally {
      await server.close()
    }
  } finally {
    stop()
  }
}

/** Names the models that answer, and those that could not be loaded. */
function sayReady(models: readonly ModelSource[], failed: readonly FailedModel[]): void {
  for (const { name, error } of failed) console.error(`warning: the model ${name} is not served: ${error.message}`)
  const names = models.map(({ name }) => name).filter(name => failed.every(other => other.name !== name))
  console.error(`ready: ${names.join(', ')}`)
}

const isLoopback = (host: string): boolean => /^(127\.[\d.]+|\[::1\]|localhost)$/.test(host)

const aborted = (signal: AbortSignal): Promise<undefined> =>
  new Promise(resolve => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
