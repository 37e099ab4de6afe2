import type { Task, TaskCodec } from '../../data/task.js'
import { loadUserValues } from './user-config.js'

/** Loads a task of a folder's `switchyard.config.ts` in another thread (`TaskLoader`). */
export async function loadInThread(argument: unknown, codec: TaskCodec): Promise<Task> {
  const { folder, name } = argument as { folder: string; name: string }
  return (await loadUserValues(folder)).taskNamed(name, codec)
}
