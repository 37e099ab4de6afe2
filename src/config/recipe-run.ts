import type { TaskDefinition } from '../data/define-task.js'
import type { Task } from '../data/task.js'
import type { UserRecipe } from './define-config.js'
import { UserValues } from './user-values.js'
import type { NamedRun } from './user-values.js'

/** A recipe of a program: as in `switchyard.config.ts`, and its task may also be one that is loaded already. */
export type ProgramRecipe = Omit<UserRecipe, 'task'> & { readonly task: UserRecipe['task'] | Task }

/**
 * The configuration and the values of a recipe, for a program: `Trainer.begin(config, values)` trains it. Loads the
 * recipe's task. What the recipe leaves out fits the task's data, as for `train NAME` of a recipe in
 * `switchyard.config.ts`. Throws a ConfigError that names a setting that does not exist, or a value that is not
 * allowed.
 */
export async function recipeRun({ task, ...recipe }: ProgramRecipe): Promise<NamedRun> {
  const definition = typeof task === 'object' && 'codec' in task ? loaded(task) : task
  const name = typeof definition === 'string' ? definition : definition.name
  const values = new UserValues({ recipes: { [name]: { ...recipe, task: definition } } }, 'recipeRun')
  return values.runNamed(name)
}

const loaded = (task: Task): TaskDefinition => ({ name: task.name, load: () => Promise.resolve(task) })
