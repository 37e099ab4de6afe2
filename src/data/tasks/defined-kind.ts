import { loadParts } from '../define-task.js'
import type { TaskParts } from '../define-task.js'
import { taskKind } from './kind.js'
import type { TaskKind } from './kind.js'

/** A built-in task in SeqIO's form. It has no settings: a configuration names it by its name alone. */
export const definedKind = (parts: TaskParts): TaskKind =>
  taskKind(parts.name, {}, (_, codec, options) => loadParts(parts, { kind: parts.name }, codec, options))
