import { ConfigError, SwitchyardError } from '../base/errors.js'
import { Turns } from '../base/turns.js'
import { listen } from './http/server.js'
import type { HttpServer } from './http/server.js'
import type { ModelSource, NoticeLevel, OpenModel } from './models/model-source.js'
import { openInProcesses } from './models/open-in-processes.js'
import { ModelRegistry } from './models/registry.js'
import { checkSettings, defaultLimits, defaultSettings } from './settings.js'
import type { ServeSettings } from './settings.js'

/** A model that could not be loaded. */
export interface FailedModel {
  readonly name: string
  readonly error: Error
}

/** A server that runs. */
export interface RunningServer {
  /** Its address: `http://127.0.0.1:8000`. */
  readonly url: string
  /**
   * Resolves when each model answers or could not be loaded, to those that could not; the others are served all the
   * same. Rejects if none can be loaded.
   */
  readonly ready: Promise<readonly FailedModel[]>
  /** Refuses new requests with 503, finishes those that run, ends the models' processes, and stops listening. */
  close(): Promise<void>
}

/**
 * Serves models over HTTP: OpenAI's API, metrics, and a page to try them. Each model runs in a process of its own.
 * Resolves when the server listens; models are loaded meanwhile, one after another, and asked for too early they are
 * answered with 503. One that cannot be loaded does not keep the others from being served. Throws a ConfigError if
 * settings cannot be used, or the port is in use.
 */
export async function serve(given: ServeSettings): Promise<RunningServer> {
  const { limits = {}, replicas, findFolder, valuesModule } = given
  const open = openInProcesses({
    limits: { ...defaultLimits, ...definedOnly(limits) },
    replicas,
    findFolder,
    valuesModule,
  })
  return serveWith(open, given)
}

/** As `serve`, for models that `open` opens. */
export async function serveWith(open: OpenModel, given: ServeSettings): Promise<RunningServer> {
  const { models: sources, onNotice, ...rest } = given
  const settings = { ...defaultSettings, ...definedOnly(rest) }
  checkSettings(settings)
  checkNames(sources.map(({ name }) => name))
  let server: HttpServer | undefined
  const note = (name: string, message: string, level: NoticeLevel): void => {
    onNotice?.(name, message)
    server?.note(name, message, level)
  }
  const models = new ModelRegistry(oneAfterAnother(open), note)
  server = await listen(models, settings)
  const { url, close } = server
  const ready = loadAll(models, sources, ({ name, error }) =>
    note(name, `the model could not be loaded: ${error.message}`, 'warn'),
  )
  // A program that does not wait for it learns of it from the log and /health.
  ready.catch(() => undefined)
  return {
    url,
    ready,
    async close() {
      await close()
      await models.close()
    },
  }
}

/** Loads models. Returns those that could not be loaded; throws if that are all of them. */
async function loadAll(
  models: ModelRegistry,
  sources: readonly ModelSource[],
  onFailed: (failed: FailedModel) => void,
): Promise<readonly FailedModel[]> {
  const failures: FailedModel[] = []
  const load = async (source: ModelSource): Promise<void> => {
    try {
      await models.load(source)
    } catch (error) {
      const failed = { name: source.name, error: error as Error }
      failures.push(failed)
      onFailed(failed)
    }
  }
  await Promise.all(sources.map(load))
  if (failures.length < sources.length) return failures
  if (failures.length === 1) throw failures[0].error
  const message = failures.map(({ name, error }) => `${name}: ${error.message}`).join('\n')
  const Kind = failures.every(({ error }) => error instanceof ConfigError) ? ConfigError : SwitchyardError
  throw new Kind(`no model could be loaded:\n${message}`)
}

function checkNames(names: readonly string[]): void {
  if (names.length === 0) throw new ConfigError('there is no model to serve: give at least one')
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new ConfigError(`two models have the name ${twice}: give each a name of its own`)
}

/** The settings that are given: an undefined one leaves its default. */
const definedOnly = <T extends object>(settings: T): T =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as T

/** Opens one model at a time: each compares what it needs with the memory that is free then. */
function oneAfterAnother(open: OpenModel): OpenModel {
  const turns = new Turns(1)
  return (source, watch) => turns.run(() => open(source, watch))
}
