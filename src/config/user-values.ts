import { missingValue } from '../base/custom.js'
import { didYouMean } from '../base/suggest.js'
import { ConfigError, prefixed } from '../base/errors.js'
import type { TaskDefinition } from '../data/define-task.js'
import type { TaskLoadOptions, Task, TaskCodec, TaskConfig } from '../data/task.js'
import { withLoader } from '../data/task-loader.js'
import type { TaskLoader } from '../data/task-loader.js'
import { loadTask, namedTasks } from '../data/tasks/registry.js'
import type { Meaning } from '../model/meaning.js'
import type { Router } from '../nn/moe/router.js'
import type { RunConfig } from '../train/config.js'
import type { CustomModelValues } from '../train/loss.js'
import type { Optimizer } from '../train/optimizers/optimizer.js'
import type { Schedule } from '../train/optimizers/schedules.js'
import type { TrainerHooks, TrainerValues } from '../train/values.js'
import type { UserConfig, UserRecipe } from './define-config.js'
import { recipes } from './recipes.js'
import { fittedConfig } from './fitted-config.js'
import { completeKind, withShortWarmup } from './overrides.js'
import { withSparseLists } from './sparse-layers.js'
import { parseRunConfig } from './validate.js'

/** A configuration, and the values in it that are not built in. */
export interface NamedRun {
  readonly config: RunConfig
  readonly values: TrainerValues
}

/** Finds tasks, recipes and custom values by name: built-in ones, and those of a user's `switchyard.config.ts`. */
export class UserValues {
  /** Functions that every training calls. */
  readonly hooks: TrainerHooks
  private readonly recipes: Readonly<Record<string, UserRecipe>>
  private readonly tasks: ReadonlyMap<string, TaskDefinition>
  private readonly routers = new Map<string, Router>()
  private readonly meanings = new Map<string, Meaning>()
  private readonly optimizers = new Map<string, Optimizer>()
  private readonly schedules = new Map<string, Schedule>()

  /** `path` is the configuration's file, for messages. Throws a ConfigError if two values have the same name. */
  constructor(
    config: UserConfig = {},
    private readonly path = 'switchyard.config.ts',
    /** How another thread loads a task of the file. */
    private readonly loaderOf: (name: string) => TaskLoader | undefined = () => undefined,
    /** Why the file could not be loaded, for messages about names that are not known. */
    private readonly failure?: Error,
  ) {
    this.recipes = config.recipes ?? {}
    this.hooks = config.hooks ?? {}
    const tasks = new Map<string, TaskDefinition>()
    const add = <V>(known: Map<string, V>, name: string, value: V, what: string): void => {
      const other = known.get(name)
      if (other !== undefined && other !== value)
        throw new ConfigError(`${path}: two ${what} have the name "${name}": rename one of them`)
      known.set(name, value)
    }
    for (const task of config.tasks ?? []) add(tasks, task.name, task, 'tasks')
    for (const { task, router, meaning, train } of Object.values(this.recipes)) {
      if (typeof task !== 'string') add(tasks, task.name, task, 'tasks')
      if (isRouter(router)) add(this.routers, router.name, router, 'routers')
      if (meaning !== undefined) add(this.meanings, meaning.name, meaning, 'meanings')
      if (isOptimizer(train?.optimizer)) add(this.optimizers, train.optimizer.name, train.optimizer, 'optimizers')
      if (typeof train?.schedule === 'function')
        add(this.schedules, scheduleName(train.schedule), train.schedule, 'schedules')
    }
    this.tasks = tasks
    for (const name of [...tasks.keys()].filter(name => namedTasks.includes(name)))
      throw new ConfigError(`${path}: the task "${name}" has the name of a built-in one: rename it`)
  }

  /** The names that `train` takes. */
  get runNames(): string[] {
    return [...new Set([...Object.keys(recipes), ...Object.keys(this.recipes), ...this.taskNames])]
  }

  /** Whether a run of this name is made from a task alone, and not from a recipe. */
  isTask(name: string): boolean {
    return this.taskNames.includes(name) && !Object.hasOwn(this.recipes, name) && !Object.hasOwn(recipes, name)
  }

  get taskNames(): string[] {
    return [...this.tasks.keys(), ...namedTasks]
  }

  /**
   * The run that a recipe describes, or for a task's name a run that fits its data. Throws a ConfigError that proposes
   * the most similar name, and ends with `hint`.
   */
  async runNamed(name: string, hint = ''): Promise<NamedRun> {
    if (Object.hasOwn(this.recipes, name))
      return this.fromRecipe(this.recipes[name], `${this.path}: the recipe ${name}`)
    if (Object.hasOwn(recipes, name)) return { config: recipes[name], values: {} }
    if (this.taskNames.includes(name)) return this.fromRecipe({ task: name })
    const advice = didYouMean(name, this.runNames, `there are ${this.runNames.join(', ')}.`)
    throw this.unknown(`there is no recipe or task "${name}"; ${advice}${hint && ` ${hint}`}`)
  }

  /** Loads a task by its name. Throws a ConfigError that proposes the most similar name. */
  async taskNamed(name: string, codec?: TaskCodec, options?: TaskLoadOptions): Promise<Task> {
    const own = this.tasks.get(name)
    if (own !== undefined) return this.loadOwn(own, codec, options)
    if (namedTasks.includes(name)) return loadTask({ kind: name }, codec, options)
    if (Object.hasOwn(this.recipes, name) || Object.hasOwn(recipes, name))
      throw new ConfigError(
        `"${name}" is a recipe, and no task: train ${name} runs it; the tasks are ${this.taskNames.join(', ')}`,
      )
    throw this.unknown(`there is no task "${name}"; ${didYouMean(name, this.taskNames)}`)
  }

  /** Loads the task that a run's configuration names. */
  async loadTask(config: TaskConfig, codec?: TaskCodec, options?: TaskLoadOptions): Promise<Task> {
    const own = config.kind === 'custom' ? this.tasks.get(String(config.name)) : undefined
    if (own !== undefined) return this.loadOwn(own, codec, options)
    if (config.kind === 'custom' && this.failure !== undefined)
      throw this.unknown(missingValue('task', String(config.name)).message)
    return loadTask(config, codec, options)
  }

  /** The error for a name that is not known; it says if the file that may have it could not be loaded. */
  private unknown(message: string): ConfigError {
    const { failure } = this
    return new ConfigError(failure === undefined ? message : `${failure.message}\nWithout this file, ${message}`, {
      cause: failure,
    })
  }

  private find<V>(known: ReadonlyMap<string, V>, what: string, name: unknown): V {
    const value = known.get(String(name))
    if (value === undefined) throw this.unknown(missingValue(what, String(name)).message)
    return value
  }

  /** Loads a task of the file. An error names the file. */
  private async loadOwn(own: TaskDefinition, codec?: TaskCodec, options?: TaskLoadOptions): Promise<Task> {
    try {
      const task = await own.load(codec, options)
      const loader = this.loaderOf(own.name)
      return loader === undefined ? task : withLoader(task, loader)
    } catch (error) {
      throw prefixed(this.path, error)
    }
  }

  /**
   * The custom values that a run's configuration names, without the task. Throws a ConfigError if one is not known.
   */
  valuesOf({ model, router, train }: RunConfig): Omit<TrainerValues, 'task'> {
    const named = (value: { kind: string }): unknown =>
      value.kind === 'custom' ? (value as { name?: unknown }).name : undefined
    const [optimizer, schedule] = [named(train.optimizer), named(train.schedule)]
    return {
      ...this.modelValuesOf({ model, router }),
      ...(optimizer !== undefined && { optimizer: this.find(this.optimizers, 'optimizer', optimizer) }),
      ...(schedule !== undefined && { schedule: this.find(this.schedules, 'schedule', schedule) }),
    }
  }

  /** The task and the custom values that a run's configuration names. `codec` is that of a checkpoint of the run. */
  async allValuesOf(config: RunConfig, codec?: TaskCodec): Promise<TrainerValues> {
    return { ...this.valuesOf(config), task: await this.loadTask(config.task, codec) }
  }

  /** The custom router and meaning of a model. Throws a ConfigError if one is not known. */
  modelValuesOf({ model, router }: Pick<RunConfig, 'model' | 'router'>): CustomModelValues {
    return {
      ...(router.custom !== undefined && { router: this.find(this.routers, 'router', router.custom) }),
      ...(model.customMeaning !== undefined && { meaning: this.find(this.meanings, 'meaning', model.customMeaning) }),
    }
  }

  /** `recipe` names the recipe and its file, for messages. */
  private async fromRecipe(
    { base, task: given, model, router, meaning, train }: UserRecipe,
    recipe?: string,
  ): Promise<NamedRun> {
    const name = typeof given === 'string' ? given : given.name
    if (recipe !== undefined && !this.taskNames.includes(name))
      throw new ConfigError(`${recipe}: there is no task "${name}"; ${didYouMean(name, this.taskNames)}`)
    const task = await this.taskNamed(name)
    const from = base ?? fittedConfig(task)
    const { optimizer, schedule, ...settings } = train ?? {}
    const values: TrainerValues = {
      task,
      ...(isRouter(router) && { router }),
      ...(meaning !== undefined && { meaning }),
      ...(isOptimizer(optimizer) && { optimizer }),
      ...(typeof schedule === 'function' && { schedule }),
    }
    const settled = {
      ...from,
      task: task.config ?? { kind: 'custom', name: task.name },
      model: withSparseLists(
        { ...from.model },
        { ...from.model, vocabSize: task.codec.vocabSize, ...model },
        new Set(Object.keys(model ?? {})),
      ),
      router: { ...from.router, ...(isRouter(router) ? {} : router) },
      train: {
        ...from.train,
        ...settings,
        ...(optimizer !== undefined &&
          !isOptimizer(optimizer) && { optimizer: completeKind('train.optimizer', from.train.optimizer, optimizer) }),
        ...(typeof schedule === 'object' && {
          schedule: completeKind('train.schedule', from.train.schedule, schedule),
        }),
      },
    }
    const config = parseRunConfig(settled, recipe)
    const isWarmupGiven = typeof schedule === 'object' && 'warmupSteps' in schedule
    return { config: settings.steps === undefined || isWarmupGiven ? config : withShortWarmup(config), values }
  }
}

const isRouter = (value: UserRecipe['router']): value is Router =>
  value !== undefined && typeof (value as Partial<Router>).assign === 'function'

const isOptimizer = (value: unknown): value is Optimizer =>
  typeof value === 'object' && value !== null && typeof (value as Partial<Optimizer>).update === 'function'

/** As a run's configuration names it. */
const scheduleName = (schedule: Schedule): string => schedule.name || 'anonymous'
