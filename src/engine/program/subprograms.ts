import { is, Program } from './program.js'
import type { Equation } from './program.js'

/**
 * The programs that an equation runs; for `cond`, all branches. The derivative programs of a composite do not count.
 */
export function subprograms(eqn: Equation): readonly Program[] {
  if (is(eqn, 'call') || is(eqn, 'composite') || is(eqn, 'linearCall')) return [eqn.params.program]
  if (is(eqn, 'scan') || is(eqn, 'shardMap')) return [eqn.params.body]
  if (is(eqn, 'while')) return [eqn.params.condition, eqn.params.body]
  if (is(eqn, 'cond')) return eqn.params.branches
  return []
}

/** The equation with each of these programs replaced by `f(program)`; itself if `f` returns them unchanged. */
export function mapSubprograms(eqn: Equation, f: (program: Program) => Program): Equation {
  if (subprograms(eqn).length === 0) return eqn
  let isChanged = false
  const replace = (value: unknown): unknown => {
    if (value instanceof Program) {
      const replaced = f(value)
      isChanged ||= replaced !== value
      return replaced
    }
    return Array.isArray(value) && value[0] instanceof Program ? value.map(replace) : value
  }
  const params = Object.fromEntries(
    Object.entries(eqn.params).map(([key, value]: [string, unknown]) => [
      key,
      // Of a composite, its own derivatives and linearCall's transpose are not run.
      key === 'jvp' || key === 'transpose' ? value : replace(value),
    ]),
  )
  return isChanged ? ({ ...eqn, params } as unknown as Equation) : eqn
}
