/** Named axes: of a mesh, in the body of a `shardMap`, or of the examples of a `vmap`. */
import { check } from '../../base/errors.js'
import { is } from './program.js'
import type { Equation, Program } from './program.js'
import type { MeshAxis } from './sharding.js'
import { subprograms } from './subprograms.js'

/** The axes that the functions which are traced now may name, innermost last. */
let scope: readonly MeshAxis[] = []

/** Runs `f`, in which collectives may name these axes too. */
export function withAxes<T>(axes: readonly MeshAxis[], f: () => T): T {
  const outer = scope
  scope = [...outer, ...axes]
  try {
    return f()
  } finally {
    scope = outer
  }
}

/** The axis of a name, in a function that `withAxes` runs. `who`: the caller's name, for the error. */
export function axisNamed(name: string, who: string): MeshAxis {
  const axis = scope.findLast(a => a.name === name)
  check(axis !== undefined, () => {
    const names = scope.map(a => a.name).join(', ')
    return `${who}: there is no axis ${name} here: ${names ? `the axes are ${names}` : 'axes have names within shardMap, and vmap with axisName'}`
  })
  return axis
}

/** The axes that can be named now, as text. Functions that are traced with equal texts give equal programs. */
export const axesInScope = (): string => scope.map(a => `${a.name}=${a.size}`).join(',')

const names = new WeakMap<Program, ReadonlySet<string>>()

/** The axes that the collectives of an equation name, except those of the mesh of its own `shardMap`. */
export function axisNamesOf(eqn: Equation): ReadonlySet<string> {
  if (is(eqn, 'psum')) return new Set(eqn.params.axes.map(a => a.name))
  if ('axis' in eqn.params && typeof eqn.params.axis === 'object') return new Set([eqn.params.axis.name])
  const inner = subprograms(eqn)
  if (inner.length === 0) return none
  const found = new Set(inner.flatMap(p => [...axisNamesIn(p)]))
  if (is(eqn, 'shardMap')) for (const a of eqn.params.mesh.axes) found.delete(a.name)
  return found
}

const none: ReadonlySet<string> = new Set()

function axisNamesIn(program: Program): ReadonlySet<string> {
  let found = names.get(program)
  if (!found) names.set(program, (found = new Set(program.equations.flatMap(e => [...axisNamesOf(e)]))))
  return found
}
