import { SwitchyardError } from '../../base/errors.js'
import { Lru } from '../../base/lru.js'
import { flatten, treeKey } from '../../base/pytree.js'
import type { Tree, TreeDef } from '../../base/pytree.js'
import { Concrete } from '../compile/engine.js'
import type { FunctionAtSizes, FunctionWithWeights } from '../compile/engine.js'
import { formatAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import { Program } from '../program/program.js'
import { isTracing } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { neededInputs, withoutDeadCode } from '../transform/dead-code.js'
import { readOptions } from './arguments.js'
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

/** How many traced programs a function keeps: three examples, and the last sizes. Those of switch-base-8 take 1.8 MB each. */
const MAX_TRACES = 8

/** How many sizes a function keeps ready for one tree of weights: some kB each, or a session each where sizes share none. */
const MAX_SIZES = 256

/**
 * As `jit`, for a function whose first argument is the same arrays again and again, a model's weights: they are laid out once as the
 * backend reads them fastest, for all sizes of the other arguments together. For other weights (another tree, which is not to be
 * changed) it is compiled again.
 *
 * `examples` show what depends on sizes. Lengths that may be any differ among the three, each in its own way, are no other length in the
 * program and cover small and large (primes: 3, 101, 1009). Axes that have the same lengths in all three have so at each call, and all
 * other lengths are as in the examples: anything else throws a SwitchyardError.
 */
export function specialize<W extends TensorTree, A extends TensorTree[], R extends TensorTree>(
  f: (weights: W, ...args: A) => R,
  examples: ExampleTypes,
  options: SpecializeOptions = {},
): Specialized<W, A, R> {
  const { donate = [] } = readOptions('specialize', options, ['donate'])
  const name = f.name || 'f'
  /** By the types of the weights and of the arguments. */
  const traced = new Lru<string, TracedWithWeights>(MAX_TRACES)
  const compiled = new WeakMap<object, WithWeights>()

  const programOf = (
    weights: Pick<WithWeights, 'tree' | 'types'>,
    args: readonly (TensorTree | Tree<TensorType>)[],
    types: readonly Aval[],
    key: string,
  ): TracedWithWeights => {
    const fullKey = `${weights.types} ${key}`
    let found = traced.get(fullKey)
    if (!found) {
      checkArguments(
        name,
        types,
        examples.map(example => flatten(example).leaves),
      )
      const all = flatten<Aval>([weights.tree, ...args] as Tree<Aval>)
      const whole = traceTree(f as (...all: TensorTree[]) => R, all.def, all.leaves)
      if (whole.captured.length > 0)
        throw new SwitchyardError(
          `${name} uses arrays from outside: give them to it as arguments, they may be other ones for other sizes`,
        )
      found = withUsedWeights(whole, all.leaves.length - types.length)
      traced.set(fullKey, found)
    }
    return found
  }

  const compile = (tree: W): WithWeights => {
    const { values: all, def } = flattenArgs([tree])
    const types = typesKey(
      def,
      all.map(v => v.aval),
    )
    const [first, second, third] = examples.map(example => {
      const { leaves, def: exampleDef } = flatten<Aval>(example as Tree<Aval>)
      return programOf({ tree, types }, example, leaves, typesKey(exampleDef, leaves))
    })
    for (const other of [second, third]) checkSameWeights(name, first, other)
    const { used } = first
    const values = used.map(i => all[i])
    const ofArguments = examples[0].flatMap((arg, i) => flatten(arg).leaves.map(() => donate.includes(i + 1)))
    const engine = values[0] instanceof Concrete ? values[0].evaluator : defaultEngine()
    const withWeights = engine.compileWithWeights(
      [first.program, second.program, third.program],
      first.program.inputs.map((_, i) => values[i] ?? null),
      [...values.map(() => false), ...ofArguments],
      name,
    )
    // What failed, perhaps for want of memory, may be tried again.
    withWeights.copied.catch(() => compiled.delete(tree as object))
    const sizes = new Lru<string, AtSizes>(MAX_SIZES, size => size.release())
    return { tree, types, used, values, copied: withWeights.copied, at: withWeights.at, sizes }
  }

  const compiledOf = (tree: W): WithWeights => {
    let known = compiled.get(tree as object)
    if (!known) compiled.set(tree as object, (known = compile(tree)))
    return known
  }

  const atSizes = (weights: WithWeights, args: readonly TensorTree[], types: readonly Aval[], key: string): AtSizes => {
    const known = weights.sizes.get(key)
    if (known) return known
    const program = programOf(weights, args, types, key)
    checkSameWeights(name, weights, program)
    const found = { ...weights.at(program.program), outputDef: program.outputDef }
    weights.sizes.set(key, found)
    return found
  }

  return Object.assign(
    (weights: W, ...args: A): R => {
      if (isTracing()) return f(weights, ...args)
      const { values, def } = flattenArgs(args)
      const types = values.map(v => v.aval)
      const { run, outputDef } = atSizes(compiledOf(weights), args, types, typesKey(def, types))
      return rebuild<R>(outputDef, run(values))
    },
    {
      prepare: async (weights: W) => {
        const { values, copied } = compiledOf(weights)
        return (await copied).map(i => new Tensor(values[i]))
      },
    },
  )
}

const typesKey = (def: TreeDef, types: readonly Aval[]): string => [treeKey(def), ...types.map(formatAval)].join(' ')

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

/** The function compiled with a tree of weights. */
interface WithWeights extends FunctionWithWeights {
  readonly tree: TensorTree
  /** The types of the weights. */
  readonly types: string
  /** The positions, in the tree, of the weights that the function uses. */
  readonly used: readonly number[]
  /** The weights that it uses. */
  readonly values: readonly Value[]
  /** By the types of the arguments. */
  readonly sizes: Lru<string, AtSizes>
}

interface AtSizes extends FunctionAtSizes {
  readonly outputDef: TreeDef
}

type Used = Pick<TracedWithWeights, 'used'>

function checkSameWeights(name: string, { used }: Used, other: Used): void {
  if (used.join() !== other.used.join())
    throw new SwitchyardError(`${name} uses other weights at these sizes than in its examples`)
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
