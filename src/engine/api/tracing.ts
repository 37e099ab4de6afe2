import { check } from '../../base/errors.js'
import { flatten, unflatten } from '../../base/pytree.js'
import type { Tree, TreeDef } from '../../base/pytree.js'
import type { Aval } from '../program/aval.js'
import { Program, Var } from '../program/program.js'
import { trace } from '../program/trace.js'
import type { Traced } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { Tensor } from './tensor.js'

/** Arrays in nested lists and objects. */
export type TensorTree = Tree<Tensor>

export interface TracedFunction {
  program: Program
  captured: Value[]
  outputDef: TreeDef
}

/** Runs `f` on tracers of the arguments' types. */
export function traceTree<A extends TensorTree[], R extends TensorTree>(
  f: (...args: A) => R,
  def: TreeDef,
  types: readonly Aval[],
): TracedFunction {
  let outputDef: TreeDef | undefined
  const traced = trace(
    types.map(({ dtype, shape }) => ({ dtype, shape })),
    inputs => {
      const output = flatten<Tensor>(
        f(
          ...(unflatten(
            def,
            inputs.map(v => new Tensor(v)),
          ) as unknown as A),
        ),
      )
      outputDef = output.def
      return output.leaves.map(a => {
        check(a instanceof Tensor, () => `a transformed function must return arrays, not ${String(a)}`)
        return a.value
      })
    },
  )
  return { ...traced, outputDef: outputDef! }
}

export const rebuild = <R extends TensorTree>(def: TreeDef, values: readonly Value[]): R =>
  unflatten(
    def,
    values.map(v => new Tensor(v)),
  ) as R

export function flattenArgs(args: readonly TensorTree[]): { values: Value[]; def: TreeDef } {
  const { leaves, def } = flatten<Tensor>(args)
  for (const leaf of leaves)
    check(leaf instanceof Tensor, () => `arguments must be arrays (np.array), not ${String(leaf)}`)
  return { values: leaves.map(a => a.value), def }
}

/** The traced program with a hidden input for each of `all`, in that order, whether it uses it or not. */
export function share({ program, captured }: Traced, numArguments: number, all: readonly Value[]): Program {
  const hidden = all.map(v => {
    const at = captured.indexOf(v)
    return at < 0 ? new Var(v.aval) : program.inputs[numArguments + at]
  })
  return new Program([...program.inputs.slice(0, numArguments), ...hidden], program.equations, program.outputs)
}
