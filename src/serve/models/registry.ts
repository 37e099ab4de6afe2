import { ConfigError } from '../../base/errors.js'
import { didYouMean } from '../../base/suggest.js'
import { ModelNotReadyError, UnknownModelError } from './model-errors.js'
import type { ModelSource, NoticeLevel, OpenModel } from './model-source.js'
import type { ServedModel } from './served-model.js'
import { SwappableModel } from './swappable.js'

/**
 * `loading`: it is opened for the first time. `ready`: it answers. `restarting`: its process has ended and is started
 * again; requests wait for it. `failed`: it could not be opened.
 */
export type ModelState = 'loading' | 'ready' | 'restarting' | 'failed'

/** What is known about a model, as plain data. */
export interface ModelStatus {
  readonly name: string
  /** The path of the version that answers, or that is loaded first. */
  readonly path: string
  readonly state: ModelState
  /** Why it is started again, or why it, or the last version that was to replace it, could not be opened. */
  readonly error?: string
  /** The path of a version that is being loaded beside it, and will replace it. */
  readonly next?: string
}

interface Entry {
  source: ModelSource
  state: ModelState
  model?: SwappableModel
  error?: string
  next?: ModelSource
}

/** Messages for a person, each about one model. */
export type RegistryNotice = (name: string, message: string, level: NoticeLevel) => void

/** The models of a server, by their names. */
export class ModelRegistry {
  private readonly entries = new Map<string, Entry>()
  private readonly closed = new AbortController()

  constructor(
    private readonly open: OpenModel,
    private readonly onNotice: RegistryNotice = () => undefined,
  ) {}

  /** The models in the order in which they were first loaded. */
  get statuses(): readonly ModelStatus[] {
    return Array.from(this.entries, ([name, { source, state, error, next }]) => ({
      name,
      path: source.path,
      state,
      ...(error !== undefined && { error }),
      ...(next && { next: next.path }),
    }))
  }

  /** The models that answer. */
  get models(): readonly ServedModel[] {
    return Array.from(this.entries.values()).flatMap(({ model }) => (model ? [model] : []))
  }

  /**
   * The model of a name. It stays usable when another version replaces it. Throws an UnknownModelError if there is none
   * of this name, and a ModelNotReadyError if it is not loaded.
   */
  get(name: string): ServedModel {
    const entry = this.entries.get(name)
    if (!entry) {
      const names = Array.from(this.entries.keys())
      const asked = name.slice(0, 200)
      throw new UnknownModelError(
        `there is no model "${asked}"; ${didYouMean(asked, names, `this server has ${names.join(', ')}`)}`,
      )
    }
    if (entry.model) return entry.model
    throw new ModelNotReadyError(
      entry.state === 'failed'
        ? `the model ${name} could not be loaded: ${entry.error}`
        : `the model ${name} is being loaded: try again later`,
    )
  }

  /**
   * Loads a model. If there is one of its name, it answers until the new version is loaded, which then replaces it: new
   * requests go to the new version, and those that run end with the old one, which is closed then. Resolves when the
   * new version answers. Rejects with the error of opening; a model that answers stays. A model of a new name stays as
   * `failed`, unless `forgetFailure`. Throws a ConfigError if a version of this name is being loaded already.
   */
  async load(source: ModelSource, { forgetFailure = false } = {}): Promise<void> {
    const { name } = source
    let entry = this.entries.get(name)
    const loading = entry?.next ?? (entry?.state === 'loading' ? entry.source : undefined)
    if (loading)
      throw new ConfigError(`the model ${name} is being loaded from ${loading.path}: load another version after that`)
    if (entry?.model) entry.next = source
    else this.entries.set(name, (entry = { source, state: 'loading' }))
    delete entry.error
    const loaded = entry
    try {
      const model = await this.open(source, {
        onNotice: (message, level) => {
          if (loaded.source === source && loaded.state === 'restarting' && level === 'warn') loaded.error = message
          this.onNotice(name, message, level)
        },
        onAvailable: isAvailable => {
          // A version that was replaced may still tell.
          if (loaded.source !== source) return
          if (isAvailable && loaded.state === 'restarting') delete loaded.error
          loaded.state = isAvailable ? 'ready' : 'restarting'
        },
        signal: this.closed.signal,
      })
      await this.use(loaded, source, model)
    } catch (error) {
      loaded.error = (error as Error).message
      if (!loaded.model) loaded.state = 'failed'
      if (!loaded.model && forgetFailure) this.entries.delete(name)
      throw error
    } finally {
      delete loaded.next
    }
  }

  /** Closes all models. Their running requests end with an error. */
  async close(): Promise<void> {
    this.closed.abort(new ModelNotReadyError('the server stops'))
    await Promise.all(this.models.map(model => model.close()))
  }

  private async use(entry: Entry, source: ModelSource, model: ServedModel): Promise<void> {
    if (this.closed.signal.aborted) {
      await model.close()
      this.closed.signal.throwIfAborted()
    }
    entry.source = source
    entry.state = 'ready'
    if (!entry.model) {
      entry.model = new SwappableModel(model)
      return
    }
    entry.model.swap(model).then(
      () => this.onNotice(source.name, 'the version before has answered its last request and is closed', 'info'),
      (error: unknown) =>
        this.onNotice(source.name, `the version before could not be closed: ${(error as Error).message}`, 'warn'),
    )
  }
}
