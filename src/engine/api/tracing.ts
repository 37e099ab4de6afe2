/** Traces functions of trees of arrays to programs: the first step of every transformation. */
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

/** A traced function. */
export interface TracedFunction {
  /** Its inputs are the arguments' leaves, then one hidden input for each captured value. */
  program: Program
  /** Values that the function closes over. */
  captured: Value[]
  /** The structure of the tree that the function returns. */
  outputDef: TreeDef
}

/**
 * Traces `f`: calls it once, on tracers of the given types. `def` is the structure of its argument list. In errors,
 * `who` is the caller's name and `name` the function's. Throws a SwitchyardError if `f` returns anything but arrays and
 * numbers, is async, or reads a tracer's data.
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
    // The error below reports the async function. Its promise is dropped, so a later rejection must not end the
    // process.
    leaf.catch(() => undefined)
    check(false, 'a transformed function must not be async: it is called once, to record what it computes')
  }
  check(leaf instanceof Tensor || isScalar(leaf), () => {
    const path = pathsOf(def)[i]
    return `a transformed function must return arrays, not ${describe(leaf)}${path === '' ? '' : ` (at ${path})`}`
  })
  return valueOf(leaf, 'a returned number')
}

/** The tree of arrays of a structure, from the values of its leaves. */
export const rebuild = <R extends TensorTree>(def: TreeDef, values: readonly Value[]): R =>
  unflatten(
    def,
    values.map(v => new Tensor(v)),
  ) as R

/**
 * The values of an argument list's leaves, and its structure. A bare number is a scalar. `who` names the caller in
 * errors.
 */
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

/**
 * The traced program with one hidden input for each value of `all`, in that order, also for values that it does not
 * use. This gives several programs, such as the branches of a `cond`, the same inputs.
 */
export function share({ program, captured }: Traced, numArguments: number, all: readonly Value[]): Program {
  const inputOf = new Map(captured.map((v, i) => [v, program.inputs[numArguments + i]]))
  const hidden = all.map(v => inputOf.get(v) ?? new Var(v.aval))
  return new Program([...program.inputs.slice(0, numArguments), ...hidden], program.equations, program.outputs)
}
