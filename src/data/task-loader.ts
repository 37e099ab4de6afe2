import { readCodec } from './task.js'
import type { SavedCodec, Task, TaskCodec } from './task.js'

/** Names a task for another thread, to which its functions cannot be sent. */
export interface TaskLoader {
  /** The URL of a module that exports `loadInThread(argument, codec)`: see `LoaderModule`. */
  readonly module: string
  /** Plain data that names the task there. */
  readonly argument: unknown
}

/** What a loader's module exports. */
export interface LoaderModule {
  /** Loads the task that `argument` names, with the codec of the run. */
  loadInThread(argument: unknown, codec: TaskCodec): Promise<Task>
}

/** Loaders by the functions of the tasks: a copy of a task with other tokens, or other members, has no loader. */
const loaders = new WeakMap<Task['tokens'], { loader: TaskLoader; members: Task['members'] }>()

/** Notes how another thread loads a task, and returns the task. */
export function withLoader(task: Task, loader: TaskLoader): Task {
  loaders.set(task.tokens, { loader, members: task.members })
  return task
}

/** How another thread loads a task; undefined if it cannot. */
export function loaderOf(task: Task): TaskLoader | undefined {
  const known = loaders.get(task.tokens)
  return known?.members === task.members ? known?.loader : undefined
}

/** Loads a task in this thread, which is another than that of `loaderOf`. */
export async function loadByLoader({ module, argument }: TaskLoader, codec: SavedCodec): Promise<Task> {
  const { loadInThread } = (await import(module)) as LoaderModule
  return loadInThread(argument, readCodec(codec))
}
