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
 * backend reads them fastest, for all sizes of the other arguments together. For other weights it is compiled anew.
 *
 * `examples`: the types of the arguments after the first at two sizes, which show what depends on sizes. Their sizes should be primes
 * that are no other length in the program, and differ wherever they are different things.
 */
export function specialize<W extends ArrayTree, A extends ArrayTree[], R extends ArrayTree>(
  f: (weights: W, ...args: A) => R, examples: readonly [Tree<ArrayType>[], Tree<ArrayType>[]], { donate = [], release }: SpecializeOptions = {},
): (weights: W, ...args: A) => R {
  const name = f.name || 'f'
  const traced = new Map<string, TracedFunction>()
  const programOf = (args: readonly (ArrayTree | Tree<ArrayType>)[]): TracedFunction => {
    const { leaves, def } = flatten<Aval>(args as Tree<Aval>)
    const key = [treeKey(def), ...leaves.map(formatAval)].join(' ')
    const found = traced.get(key) ?? traceTree(f as (...all: ArrayTree[]) => R, def, leaves)
    if (found.captured.length > 0) throw new SwitchyardError(`${name} uses arrays from outside: give them to it as arguments, they may be other ones for other sizes`)
    traced.set(key, found)
    return found
  }
  const bound = new WeakMap<Value, { weights: readonly Value[]; run: (program: Program, inputs: readonly Value[]) => Concrete[] }>()
  return (weights, ...args) => {
    if (isTracing()) return f(weights, ...args)
    const { values: ofWeights } = flattenArgs([weights])
    const { values } = flattenArgs([weights, ...args])
    const { program, outputDef } = programOf([weights, ...args])
    let compiled = bound.get(ofWeights[0])
    if (!compiled || compiled.weights.some((w, i) => w !== ofWeights[i])) {
      const programs = examples.map(example => programOf([weights, ...example]).program)
      const donated = [weights, ...args].flatMap((arg, i) => flatten(arg).leaves.map(() => donate.includes(i)))
      const [first] = ofWeights
      const engine = first instanceof Concrete ? first.evaluator : defaultEngine()
      compiled = { weights: ofWeights, run: engine.bind([programs[0], programs[1]], values.map((v, i) => (i < ofWeights.length ? v : null)), { donated, release, name }) }
      bound.set(ofWeights[0], compiled)
    }
    return rebuild<R>(outputDef, compiled.run(program, values))
  }
}
