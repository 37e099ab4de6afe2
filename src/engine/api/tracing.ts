/** Functions of trees of arrays as programs: what every transformation begins with. */
import { check } from '../../base/errors.js'
import { flatten, pathsOf, unflatten } from '../../base/pytree.js'
import type { Tree, TreeDef } from '../../base/pytree.js'
import type { Aval } from '../program/aval.js'
import { Program, Var } from '../program/program.js'
import { trace } from '../program/trace.js'
import type { Traced } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { checkFunction, valueOf } from './arguments.js'
import { describe, isScalar } from './describe.js'
import { Tensor } from './tensor.js'

/** Arrays in nested lists and objects. */
export type TensorTree = Tree<Tensor>

/** A function as a program. */
export interface TracedFunction {
  /** Inputs: the arguments' leaves, then one for each captured value. */
  program: Program
  /** Values from outside that the function uses. */
  captured: Value[]
  /** The structure of what the function returns. */
  outputDef: TreeDef
}

/**
 * Calls `f` once on tracers of the given types. `def` is the structure of its argument list. `who` names the caller in
 * errors, `name` the function. Throws a SwitchyardError if `f` returns anything but arrays and numbers, is async, or reads data.
 */
export function traceTree<A extends TensorTree[], R extends TensorTree>(
  f: (...args: A) => R,
  def: TreeDef,
  types: readonly Aval[],
  who = 'a transformation',
  name = typeof f === 'function' ? f.name : '',
): TracedFunction {
  checkFunction(f, `${who}: the function`)
  let outputDef: TreeDef | undefined
  const traced = trace(
    types.map(({ dtype, shape }) => ({ dtype, shape })),
    inputs => {
      const args = unflatten(
        def,
        inputs.map(v => new Tensor(v)),
      ) as unknown as A
      const output = flatten<Tensor>(f(...args))
      outputDef = output.def
      return output.leaves.map((leaf, i) => outputValue(leaf, i, output.def))
    },
    name,
  )
  return { ...traced, outputDef: outputDef! }
}

function outputValue(leaf: unknown, i: number, def: TreeDef): Value {
  if (leaf instanceof Promise) {
    // The call fails anyway: a later failure of the async function has nobody to catch it, and would end the process.
    leaf.catch(() => undefined)
    check(false, 'a transformed function must not be async: it is called once, to record what it computes')
  }
  check(leaf instanceof Tensor || isScalar(leaf), () => {
    const path = pathsOf(def)[i]
    return `a transformed function must return arrays, not ${describe(leaf)}${path === '' ? '' : ` (at ${path})`}`
  })
  return valueOf(leaf, 'a returned number')
}

/** A tree of arrays from a structure and the arrays' values. */
export const rebuild = <R extends TensorTree>(def: TreeDef, values: readonly Value[]): R =>
  unflatten(
    def,
    values.map(v => new Tensor(v)),
  ) as R

/** The values of an argument list's leaves, and its structure. A bare number is a scalar. `who` names the caller in errors. */
export function flattenArgs(args: readonly TensorTree[], who?: string): { values: Value[]; def: TreeDef } {
  const { leaves, def } = flatten<Tensor>(args)
  const values = leaves.map((leaf, i) => {
    if (leaf instanceof Tensor) return leaf.value
    check(
      isScalar(leaf),
      () =>
        `${who ? `${who}: ` : ''}arguments must be arrays (np.array), not ${describe(leaf)} (argument ${pathsOf(def)[i]})`,
    )
    return valueOf(leaf, `argument ${pathsOf(def)[i]}`)
  })
  return { values, def }
}

/** The traced program with a hidden input for each of the values `all`, in that order, even for those that it does not use. */
export function share({ program, captured }: Traced, numArguments: number, all: readonly Value[]): Program {
  const inputOf = new Map(captured.map((v, i) => [v, program.inputs[numArguments + i]]))
  const hidden = all.map(v => inputOf.get(v) ?? new Var(v.aval))
  return new Program([...program.inputs.slice(0, numArguments), ...hidden], program.equations, program.outputs)
}
