import { SwitchyardError } from '../../base/errors.js'
import { Lru } from '../../base/lru.js'
import { flatten, leavesAs, treeKey, unflatten } from '../../base/pytree.js'
import type { Tree, TreeDef } from '../../base/pytree.js'
import type { SizedProgram } from '../compile/backend.js'
import { engineOf } from '../compile/engine.js'
import type { FunctionAtSizes, FunctionWithWeights } from '../compile/function-with-weights.js'
import { outputTypesOf, sizedProgram } from '../compile/sized-program.js'
import { formatAval, sameAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import { Program } from '../program/program.js'
import { isTracing } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { neededInputs, withoutDeadCode } from '../transform/dead-code.js'
import { readOptions } from './arguments.js'
import { Tensor } from './tensor.js'
import { defaultEngine } from './engine.js'
import { TensorType } from './eval-shape.js'
import { flattenArgs, rebuild, traceTree } from './tracing.js'
import type { TensorTree, TracedFunction } from './tracing.js'

export interface SpecializeOptions {
  /**
   * Positions of donated arguments, counted from the weights at 0, which cannot be donated: see `JitOptions.donate`.
   */
  donate?: readonly number[]
  /** Receives a message for a person if the function has no form that serves all sizes, and why. */
  onNotice?: (message: string) => void
}

/** The types of a function's arguments other than the weights, at three different sizes. */
export type ExampleTypes = readonly [Tree<TensorType>[], Tree<TensorType>[], Tree<TensorType>[]]

export interface Specialized<W extends TensorTree, A extends TensorTree[], R extends TensorTree> {
  (weights: W, ...args: A): R
  /**
   * Compiles the function with the weights, unless that is done already. Resolves to the weight arrays that the backend
   * has copied: this function does not read them again, so the caller may free them.
   */
  prepare(weights: W): Promise<readonly Tensor[]>
}

/**
 * How many traced programs a function keeps: the three examples and, of a function that is traced for each size, the
 * sizes used last. A program of switch-base-8 takes 1.8 MB.
 */
const MAX_TRACES = 8

/**
 * How many sets of argument shapes stay compiled for one tree of weights. A set takes a few kB, or a whole ONNX Runtime
 * session on a backend that needs one session for each set.
 */
const MAX_SIZES = 256

/**
 * As `jit`, for a function whose first argument is a model's weights, the same tree at every call. The backend stores
 * the weights once, in its fastest layout, and all sizes of the other arguments share them. With XLA, weights on a mesh
 * of devices stay there, its devices compute together, and each has a copy of the results. Passing a different weights
 * tree compiles again. Do not mutate a tree after passing it.
 *
 * `examples` are the types of the other arguments at three sizes. The backend compares the three programs to learn
 * which lengths are variable. A variable length must be different in each example, small in one and large in another,
 * and equal to no other length of the program; primes such as 3, 101 and 1009 are safe. Two axes that have equal
 * lengths in all three examples must have equal lengths in every call. A length that is the same in all three examples
 * is fixed. A call whose arguments do not follow these rules throws a SwitchyardError.
 *
 * If one form serves all sizes, `f` is called for the examples only, and must do the same at all other sizes.
 */
export function specialize<W extends TensorTree, A extends TensorTree[], R extends TensorTree>(
  f: (weights: W, ...args: A) => R,
  examples: ExampleTypes,
  options: SpecializeOptions = {},
): Specialized<W, A, R> {
  const { donate = [], onNotice } = readOptions('specialize', options, ['donate', 'onNotice'])
  const name = f.name || 'f'
  const exampleTypes = examples.map(example => flatten(example).leaves)
  /** Traced programs; the key is the types of the weights and of the arguments. */
  const traced = new Lru<string, TracedWithWeights>(MAX_TRACES)
  const compiled = new WeakMap<object, WithWeights>()

  const programOf = (
    weights: Pick<WithWeights, 'tree' | 'types'>,
    args: readonly Tree<TensorType>[],
    types: readonly Aval[],
    key: string,
  ): TracedWithWeights => {
    const fullKey = `${weights.types} ${key}`
    let found = traced.get(fullKey)
    if (!found) {
      const all = flatten<Aval>([weights.tree, ...args] as Tree<Aval>)
      const whole = traceTree(f as (...all: TensorTree[]) => R, all.def, all.leaves)
      if (whole.captured.length > 0)
        throw new SwitchyardError(
          `${name} closes over arrays, which specialize does not support: pass them as arguments`,
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
      checkArguments(name, leaves, exampleTypes)
      return programOf({ tree, types }, example, leaves, typesKey(exampleDef, leaves))
    })
    for (const other of [second, third]) checkSameWeights(name, first, other)
    const outputTypes = [second, third].every(e => treeKey(e.outputDef) === treeKey(first.outputDef))
      ? outputTypesOf([first.program, second.program, third.program])
      : null
    const { used } = first
    const values = used.map(i => all[i])
    const donatedLeaves = examples[0].flatMap((arg, i) => flatten(arg).leaves.map(() => donate.includes(i + 1)))
    // Without weights, or if the first one is a bare number, there is no array to take the engine from.
    const engine = engineOf(values[0]) ?? defaultEngine()
    const withWeights = engine.compileWithWeights(
      [first.program, second.program, third.program],
      first.program.inputs.map((_, i) => values[i] ?? null),
      [...values.map(() => false), ...donatedLeaves],
      name,
    )
    // A failed compilation (out of memory, say) is not cached, so that the next call tries again.
    withWeights.copied.catch(() => compiled.delete(tree as object))
    void withWeights.eachSizeBecause.then(
      reason => {
        if (reason !== undefined) onNotice?.(eachSizeNotice(name, reason))
      },
      () => undefined,
    )
    const sizes = new Lru<string, AtSizes>(MAX_SIZES, size => size.release())
    const { copied, at } = withWeights
    return { tree, types, used, values, copied, at, outputTypes, outputDef: first.outputDef, sizes, last: null }
  }

  const compiledOf = (tree: W): WithWeights => {
    let found = compiled.get(tree as object)
    if (!found) compiled.set(tree as object, (found = compile(tree)))
    return found
  }

  /** The function at the sizes of a call. It is only traced for them if that is needed. */
  const sized = (
    weights: WithWeights,
    def: TreeDef,
    types: readonly Aval[],
    key: string,
  ): { sizes: SizedProgram; outputDef: TreeDef } => {
    const traceNow = (): TracedWithWeights => {
      const args = unflatten(
        def,
        types.map(({ dtype, shape }) => new TensorType(dtype, shape)),
      ) as readonly Tree<TensorType>[]
      const found = programOf(weights, args, types, key)
      checkSameWeights(name, weights, found)
      return found
    }
    const { outputTypes, values, outputDef } = weights
    const inputs = [...values.map(v => v.aval), ...types]
    const outputs = outputTypes?.(inputs)
    if (!outputs) {
      const { program, outputDef: ownDef } = traceNow()
      return { sizes: sizedProgram(program), outputDef: ownDef }
    }
    const program = (): Program => {
      const found = traceNow()
      checkResults(name, { outputs, outputDef }, found)
      return found.program
    }
    return { sizes: { inputs, outputs, program }, outputDef }
  }

  const atSizes = (weights: WithWeights, def: TreeDef, types: readonly Aval[], key: string): AtSizes => {
    const cached = weights.sizes.get(key)
    if (cached) return cached
    checkArguments(name, types, exampleTypes)
    const { outputDef, sizes } = sized(weights, def, types, key)
    const found = { ...weights.at(sizes), outputDef }
    weights.sizes.set(key, found)
    // A failed compilation is not kept, so that the next call at these sizes tries again.
    found.compiled.catch(() => {
      if (weights.sizes.peek(key) === found) weights.sizes.delete(key)
      if (weights.last?.at === found) weights.last = null
    })
    return found
  }

  const newCall = (weights: WithWeights, args: readonly TensorTree[]): Call => {
    const { values, def } = flattenArgs(args)
    const types = values.map(v => v.aval)
    const at = atSizes(weights, def, types, typesKey(def, types))
    weights.last = { def, types, at }
    return { at, values }
  }

  return Object.assign(
    (weights: W, ...args: A): R => {
      if (isTracing()) return f(weights, ...args)
      const compiledWith = compiledOf(weights)
      const { at, values } = asLast(compiledWith.last, args) ?? newCall(compiledWith, args)
      return rebuild<R>(at.outputDef, at.run(values))
    },
    {
      prepare: async (weights: W) => {
        const { values, copied } = compiledOf(weights)
        return (await copied).map(i => new Tensor(values[i]))
      },
    },
  )
}

const eachSizeNotice = (name: string, reason: string): string =>
  `${name} is compiled by itself for each set of sizes of its arguments, which takes time at every new size, and memory: ${reason}`

const typesKey = (def: TreeDef, types: readonly Aval[]): string => [treeKey(def), ...types.map(formatAval)].join(' ')

/**
 * A traced function. The program's inputs are the weights that the function uses, then the leaves of the other
 * arguments.
 */
interface TracedWithWeights extends Pick<TracedFunction, 'program' | 'outputDef'> {
  /** Indices of the used weights among the leaves of the weights tree. */
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

/** The function, compiled with one tree of weights. */
interface WithWeights extends Omit<FunctionWithWeights, 'eachSizeBecause'>, Pick<TracedFunction, 'outputDef'> {
  readonly tree: TensorTree
  /** A key of the weights' structure, shapes and dtypes. */
  readonly types: string
  /** Indices of the used weights among the leaves of the weights tree. */
  readonly used: readonly number[]
  /** The used weights. */
  readonly values: readonly Value[]
  /** The types of the results, from those of the inputs: see `outputTypesOf`. If null, the traced program tells. */
  readonly outputTypes: ReturnType<typeof outputTypesOf>
  /** The function at each size that was called; the key is the types of the arguments. */
  readonly sizes: Lru<string, AtSizes>
  /** The last call: most calls have the types of the one before, which are compared in less time than a key takes. */
  last: { readonly def: TreeDef; readonly types: readonly Aval[]; readonly at: AtSizes } | null
}

/** A call: the compiled function, and the values of its arguments. */
interface Call {
  readonly at: AtSizes
  readonly values: readonly Value[]
}

/** A call whose arguments have the structure and the types of the last call; null if they have not. */
function asLast(last: WithWeights['last'], args: readonly TensorTree[]): Call | null {
  if (last === null) return null
  const { def, types, at } = last
  const leaves = leavesAs<unknown>(def, args)
  return leaves?.every((leaf, i): leaf is Tensor => leaf instanceof Tensor && sameAval(leaf.value.aval, types[i]))
    ? { at, values: leaves.map(leaf => leaf.value) }
    : null
}

/** The function, ready to run at one set of argument shapes. */
interface AtSizes extends FunctionAtSizes {
  readonly outputDef: TreeDef
}

type Used = Pick<TracedWithWeights, 'used'>

function checkSameWeights(name: string, { used }: Used, other: Used): void {
  if (used.join() !== other.used.join())
    throw new SwitchyardError(
      `${name} reads different weights at these sizes than at the sizes of its examples: make it read the same weights at all sizes`,
    )
}

/** Throws a SwitchyardError unless the function, traced at some sizes, returns what its examples say. */
function checkResults(
  name: string,
  { outputs, outputDef }: { readonly outputs: readonly Aval[]; readonly outputDef: TreeDef },
  { program, outputDef: ownDef }: Pick<TracedFunction, 'program' | 'outputDef'>,
): void {
  const actual = program.outputs.map(o => o.aval)
  if (treeKey(ownDef) !== treeKey(outputDef) || !outputs.every((type, i) => sameAval(type, actual[i])))
    throw new SwitchyardError(
      `${name} returns ${actual.map(formatAval).join(', ')} at these sizes, which does not follow from its examples: ${outputs.map(formatAval).join(', ')} does. Make it do the same at all sizes, or choose examples whose lengths show the difference`,
    )
}

/**
 * Throws a SwitchyardError unless each argument has the dtype, number of axes and fixed lengths of the examples, and
 * equal lengths wherever the examples have equal ones.
 */
function checkArguments(name: string, args: readonly Aval[], examples: readonly (readonly Aval[])[]): void {
  // The length in this call of each variable length. The key is its lengths in the examples.
  const lengthOf = new Map<string, number>()
  args.forEach((arg, i) => {
    const types = examples.map(example => example[i])
    const fits =
      types.every(t => t?.dtype === arg.dtype && t.shape.length === arg.shape.length) &&
      arg.shape.every((length, axis) => {
        const lengths = types.map(t => t.shape[axis])
        const key = lengths.join()
        const expected = lengths.every(l => l === lengths[0]) ? lengths[0] : lengthOf.get(key)
        if (expected === undefined) lengthOf.set(key, length)
        return (expected ?? length) === length
      })
    if (!fits)
      throw new SwitchyardError(
        `argument ${i + 1} of ${name} is ${formatAval(arg)}, but its examples are ${types.map(t => (t ? formatAval(t) : 'nothing')).join(', ')}: the dtype, the number of axes and the lengths that do not vary must agree, and lengths that are equal in all examples must be equal`,
      )
  })
  if (args.length !== examples[0].length)
    throw new SwitchyardError(
      `${name} was given ${args.length} arrays besides its weights, and its examples have ${examples[0].length}`,
    )
}
