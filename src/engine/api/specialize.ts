import { SwitchyardError } from '../../base/errors.js'
import { flatten, treeKey } from '../../base/pytree.js'
import type { Tree, TreeDef } from '../../base/pytree.js'
import { Concrete } from '../compile/engine.js'
import type { BoundProgram } from '../compile/engine.js'
import { formatAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import { Program } from '../program/program.js'
import { isTracing } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { neededInputs, withoutDeadCode } from '../transform/dead-code.js'
import { Tensor } from './tensor.js'
import { defaultEngine } from './engine.js'
import type { TensorType } from './eval-shape.js'
import { flattenArgs, rebuild, traceTree } from './tracing.js'
import type { TensorTree, TracedFunction } from './tracing.js'

export interface SpecializeOptions {
  /** Arguments that are given away, counted with the first: see `JitOptions`. */
  donate?: readonly number[]
}

/** The types of a function's arguments after the first, at three different sizes. */
export type ExampleTypes = readonly [Tree<TensorType>[], Tree<TensorType>[], Tree<TensorType>[]]

export interface Specialized<W extends TensorTree, A extends TensorTree[], R extends TensorTree> {
  (weights: W, ...args: A): R
  /** Lays the weights out, if that is not done yet, and resolves to those of which the backend has a copy: this function needs the arrays no more. */
  prepare(weights: W): Promise<readonly Tensor[]>
}

/**
 * As `jit`, for a function whose first argument is the same arrays again and again, a model's weights: they are laid out once as the
 * backend reads them fastest, for all sizes of the other arguments together. For other weights (another tree, which is not to be
 * changed) it is compiled anew.
 *
 * `examples` show what depends on sizes. Lengths that may be any differ among the three, each in its own way, are no other length in the
 * program and cover small and large (primes: 3, 101, 1009). Axes that have the same lengths in all three have so at each call, and all
 * other lengths are as in the examples: anything else throws a SwitchyardError.
 */
export function specialize<W extends TensorTree, A extends TensorTree[], R extends TensorTree>(
  f: (weights: W, ...args: A) => R,
  examples: ExampleTypes,
  { donate = [] }: SpecializeOptions = {},
): Specialized<W, A, R> {
  const name = f.name || 'f'
  /** By the weights' types, and by the arguments'. */
  const traced = new Map<string, Map<string, TracedWithWeights>>()
  const bound = new WeakMap<object, BoundWeights>()

  const programOf = (
    { tree, traced: known }: Pick<BoundWeights, 'tree' | 'traced'>,
    args: readonly (TensorTree | Tree<TensorType>)[],
    types: readonly Aval[],
    def: TreeDef,
  ): TracedWithWeights => {
    const key = [treeKey(def), ...types.map(formatAval)].join(' ')
    let found = known.get(key)
    if (!found) {
      checkArguments(
        name,
        types,
        examples.map(example => flatten(example).leaves),
      )
      const all = flatten<Aval>([tree, ...args] as Tree<Aval>)
      const whole = traceTree(f as (...all: TensorTree[]) => R, all.def, all.leaves)
      if (whole.captured.length > 0)
        throw new SwitchyardError(
          `${name} uses arrays from outside: give them to it as arguments, they may be other ones for other sizes`,
        )
      found = withUsedWeights(whole, all.leaves.length - types.length)
      const [example = found] = known.values()
      if (found.used.join() !== example.used.join())
        throw new SwitchyardError(`${name} uses other weights at these sizes than in its examples`)
      known.set(key, found)
    }
    return found
  }

  const bind = (tree: W): BoundWeights => {
    const { values: all, def } = flattenArgs([tree])
    const key = [treeKey(def), ...all.map(v => formatAval(v.aval))].join(' ')
    const weights = { tree, traced: traced.get(key) ?? new Map<string, TracedWithWeights>() }
    traced.set(key, weights.traced)
    const [{ program: first, used }, ...others] = examples.map(example => {
      const { leaves, def: exampleDef } = flatten<Aval>(example as Tree<Aval>)
      return programOf(weights, example, leaves, exampleDef)
    })
    const values = used.map(i => all[i])
    const ofArguments = examples[0].flatMap((arg, i) => flatten(arg).leaves.map(() => donate.includes(i + 1)))
    const engine = values[0] instanceof Concrete ? values[0].evaluator : defaultEngine()
    const program = engine.bind(
      [first, others[0].program, others[1].program],
      first.inputs.map((_, i) => values[i] ?? null),
      [...values.map(() => false), ...ofArguments],
      name,
    )
    // What failed, perhaps for want of memory, may be tried again.
    program.copied.catch(() => bound.delete(tree as object))
    return { ...weights, values, program }
  }

  const boundOf = (tree: W): BoundWeights => {
    let known = bound.get(tree as object)
    if (!known) bound.set(tree as object, (known = bind(tree)))
    return known
  }

  return Object.assign(
    (weights: W, ...args: A): R => {
      if (isTracing()) return f(weights, ...args)
      const known = boundOf(weights)
      const { values, def } = flattenArgs(args)
      const { program, outputDef } = programOf(
        known,
        args,
        values.map(v => v.aval),
        def,
      )
      return rebuild<R>(outputDef, known.program.run(program, values))
    },
    {
      prepare: async (weights: W) => {
        const { values, program } = boundOf(weights)
        return (await program.copied).map(i => new Tensor(values[i]))
      },
    },
  )
}

/** Its program's inputs are the weights that it uses, then the arguments. */
interface TracedWithWeights extends Pick<TracedFunction, 'program' | 'outputDef'> {
  /** The weights' places in their tree. */
  readonly used: readonly number[]
}

function withUsedWeights({ program, outputDef }: TracedFunction, numWeights: number): TracedWithWeights {
  const live = withoutDeadCode(program)
  const { inputs, equations, outputs } = live
  const used = neededInputs(live)
    .slice(0, numWeights)
    .flatMap((isNeeded, i) => (isNeeded ? i : []))
  return {
    program: new Program([...used.map(i => inputs[i]), ...inputs.slice(numWeights)], equations, outputs),
    outputDef,
    used,
  }
}

interface BoundWeights {
  readonly tree: TensorTree
  /** Those that are used. */
  readonly values: readonly Value[]
  readonly traced: Map<string, TracedWithWeights>
  readonly program: BoundProgram
}

/** Throws a SwitchyardError unless arguments are of the examples' types, at some sizes. */
function checkArguments(name: string, args: readonly Aval[], examples: readonly (readonly Aval[])[]): void {
  const known = new Map<string, number>()
  args.forEach((arg, i) => {
    const types = examples.map(example => example[i])
    const fits =
      types.every(t => t?.dtype === arg.dtype && t.shape.length === arg.shape.length) &&
      arg.shape.every((length, axis) => {
        const lengths = types.map(t => t.shape[axis])
        const key = lengths.join()
        const expected = lengths.every(l => l === lengths[0]) ? lengths[0] : known.get(key)
        if (expected === undefined) known.set(key, length)
        return (expected ?? length) === length
      })
    if (!fits)
      throw new SwitchyardError(
        `${name} was given ${formatAval(arg)}, which is not of the examples' types (${types.map(t => (t ? formatAval(t) : 'nothing')).join(', ')}) at any sizes`,
      )
  })
  if (args.length !== examples[0].length)
    throw new SwitchyardError(
      `${name} was given ${args.length} arrays besides its weights, and its examples have ${examples[0].length}`,
    )
}
