import { SwitchyardError } from '../../base/errors.js'
import { flatten, treeKey } from '../../base/pytree.js'
import type { Tree } from '../../base/pytree.js'
import { formatAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import { isTracing } from '../program/trace.js'
import type { Value } from '../program/value.js'
import type { Program } from '../program/program.js'
import { Concrete } from '../compile/engine.js'
import type { ArrayType } from './eval-shape.js'
import { defaultEngine } from './engine.js'
import { flattenArgs, rebuild, traceTree } from './tracing.js'
import type { ArrayTree, TracedFunction } from './tracing.js'

export interface SpecializeOptions {
  /** Arguments that are given away, counted with the first: see `JitOptions`. */
  donate?: readonly number[]
  /**
   * Whether weights that the backend has copied are given up: there is one copy of them then, and whoever else uses the arrays gets an
   * error. Give no two functions the same weights.
   */
  release?: boolean
}

/**
 * As `jit`, for a function whose first argument is the same arrays again and again, a model's weights: they are laid out once as the
 * backend reads them fastest, for all sizes of the other arguments together. For other weights (another tree, which is not to be
 * changed) it is compiled anew.
 *
 * `examples`: the types of the arguments after the first at two sizes, which show what depends on sizes. Their sizes should be primes
 * that are no other length in the program, and differ wherever they are different things.
 */
export function specialize<W extends ArrayTree, A extends ArrayTree[], R extends ArrayTree>(
  f: (weights: W, ...args: A) => R, examples: readonly [Tree<ArrayType>[], Tree<ArrayType>[]], { donate = [], release }: SpecializeOptions = {},
): (weights: W, ...args: A) => R {
  const name = f.name || 'f'
  const traced = new Map<string, TracedFunction>()
  const bound = new WeakMap<object, BoundWeights>()

  const programOf = (weights: BoundWeights, args: readonly (ArrayTree | Tree<ArrayType>)[]): TracedFunction => {
    const { leaves, def } = flatten<Aval>(args as Tree<Aval>)
    const key = [weights.key, treeKey(def), ...leaves.map(formatAval)].join(' ')
    let found = traced.get(key)
    if (!found) {
      const all = flatten<Aval>([weights.tree, ...args] as Tree<Aval>)
      found = traceTree(f as (...all: ArrayTree[]) => R, all.def, all.leaves)
      if (found.captured.length > 0) throw new SwitchyardError(`${name} uses arrays from outside: give them to it as arguments, they may be other ones for other sizes`)
      traced.set(key, found)
    }
    return found
  }

  const bind = (tree: W): BoundWeights => {
    const { values, def } = flattenArgs([tree])
    const weights: BoundWeights = { tree, values, key: [treeKey(def), ...values.map(v => formatAval(v.aval))].join(' '), run: () => { throw new Error('not bound yet') } }
    const [first, second] = examples.map(example => programOf(weights, example).program)
    const donated = first.inputs.map((_, i) => i >= values.length && donate.includes(argumentOf(examples[0], i - values.length) + 1))
    const engine = values[0] instanceof Concrete ? values[0].evaluator : defaultEngine()
    weights.run = engine.bind([first, second], first.inputs.map((_, i) => values[i] ?? null), { donated, release, name })
    return weights
  }

  return (weights, ...args) => {
    if (isTracing()) return f(weights, ...args)
    const tree = weights as object
    let known = bound.get(tree)
    if (!known) bound.set(tree, known = bind(weights))
    const { program, outputDef } = programOf(known, args)
    return rebuild<R>(outputDef, known.run(program, [...known.values, ...flattenArgs(args).values]))
  }
}

interface BoundWeights {
  readonly tree: ArrayTree
  readonly values: readonly Value[]
  /** Their structure and types. */
  readonly key: string
  run(program: Program, inputs: readonly Value[]): Concrete[]
}

/** Which of the arguments a leaf belongs to. */
function argumentOf(args: readonly Tree<ArrayType>[], leaf: number): number {
  let end = 0
  return args.findIndex(arg => leaf < (end += flatten(arg).leaves.length))
}
