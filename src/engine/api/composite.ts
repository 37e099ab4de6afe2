/**
 * Functions with a custom derivative (customVjp, customJvp), and functions that a backend may replace as a whole
 * (composite).
 */
import { isFloat } from '../../base/dtypes.js'
import { check } from '../../base/errors.js'
import { Lru } from '../../base/lru.js'
import { flatten, leafCount, treeKey } from '../../base/pytree.js'
import type { TreeDef } from '../../base/pytree.js'
import { formatAval, sameAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import { axesInScope } from '../program/axis-names.js'
import * as ops from '../program/ops.js'
import type { GroupRule, PrimitiveParams, VjpPrograms } from '../program/program.js'
import { Program } from '../program/program.js'
import { bind, trace } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { firstNonLinear } from '../transform/linearity.js'
import { spread } from '../transform/masks.js'
import { checkFunction, readOptions } from './arguments.js'
import { describe } from './describe.js'
import { Tensor } from './tensor.js'
import { flattenArgs, rebuild, share, traceTree } from './tracing.js'
import type { TensorTree, TracedFunction } from './tracing.js'

/**
 * A reverse-mode derivative written by hand. `S`: the residuals, which the forward pass keeps for the backward pass.
 */
export interface Vjp<A extends TensorTree[], R extends TensorTree, S extends TensorTree> {
  /** The function's output, and the residuals. */
  forward: (...args: A) => [output: R, residuals: S]
  /** The cotangent of each argument, with the argument's structure. null stands for zero, and for integer arguments. */
  backward: (residuals: S, cotangent: R) => { [I in keyof A]: A[I] | null }
}

/** How a composite is differentiated and lowered: see `composite`. */
export interface CompositeOptions<A extends TensorTree[], R extends TensorTree, S extends TensorTree> {
  vjp?: Vjp<A, R, S>
  attributes?: { readonly [name: string]: number }
  ofGroup?: (...args: A extends [...infer Rest extends TensorTree[], TensorTree] ? Rest : never) => R
}

/** The equation of a composite for arguments of some types. */
interface TracedComposite extends Pick<TracedFunction, 'captured' | 'outputDef'> {
  readonly params: PrimitiveParams['composite']
}

/** How many sets of argument types a composite keeps traced. A small function's programs take some kB. */
const MAX_TRACES = 64

/**
 * A function that programs hold as one equation, `composite[name]`. Transformations and the interpreter apply `f`. A
 * backend that has a faster kernel of this name uses it instead, with the numbers in `attributes` as its settings. With
 * `vjp`, reverse mode uses that rule, while forward mode differentiates `f`. (In a differentiated program the equation
 * keeps the name if the rule's residuals are inputs or outputs of `f`; otherwise it is called `name.forward`.) Arrays
 * that `f` or the rule closes over cannot be differentiated.
 *
 * As with `jit`, `f` is called once for each structure, shape and dtype of the arguments, unless it closes over arrays:
 * what else it depends on must not change. The rule is then called when a derivative is first taken, and may not close
 * over arrays either.
 *
 * `ofGroup`: for a function of rows [rows, ...], arrays [groups, ...] and group sizes [groups] that applies the arrays
 * of each group to its rows, the same for one group: a function of rows and arrays [...]. Programs can then run while
 * only some groups' arrays are in memory (see `pagedArray`).
 */
export function composite<A extends TensorTree[], R extends TensorTree, S extends TensorTree = TensorTree>(
  name: string,
  f: (...args: A) => R,
  options: CompositeOptions<A, R, S> = {},
): (...args: A) => R {
  const read = readOptions('composite', options, ['vjp', 'attributes', 'ofGroup'])
  const kept = new Lru<string, TracedComposite>(MAX_TRACES)
  return (...args) => {
    const { values, def } = flattenArgs(args, name)
    const types = values.map(v => v.aval)
    const key = [axesInScope(), treeKey(def), ...types.map(formatAval)].join(' ')
    let traced = kept.get(key)
    if (!traced) {
      traced = traceComposite(name, f, read, types, def, axesInScope() === '')
      if (traced.captured.length === 0) kept.set(key, traced)
    }
    return applyComposite<R>(traced, values)
  }
}

/** `isLazy`: whether the rule is traced when it is first needed, if `f` closes over no arrays. */
function traceComposite<A extends TensorTree[], R extends TensorTree, S extends TensorTree>(
  name: string,
  f: (...args: A) => R,
  { vjp: rule, attributes, ofGroup }: CompositeOptions<A, R, S>,
  types: readonly Aval[],
  def: TreeDef,
  isLazy: boolean,
): TracedComposite {
  const traced = traceTree(f, def, types, name)
  const { captured, program, outputDef } = traced
  const known = { name, ...(attributes && { attributes }), ...(ofGroup && { ofGroup: groupRule(ofGroup, def) }) }
  if (!rule) return { captured, outputDef, params: { ...known, program } }
  if (!isLazy || captured.length > 0) {
    const { vjp, ...shared } = traceVjp(name, rule, traced, types, def)
    return { captured: shared.captured, outputDef, params: { ...known, program: shared.program, vjp } }
  }
  const vjp = new LazyVjp(() => {
    const { captured: closedOver, vjp: programs } = traceVjp(name, rule, traced, types, def)
    check(
      closedOver.length === 0,
      () => `${name}: the rule of its derivative closes over ${formatAval(closedOver[0].aval)}: pass it as an argument`,
    )
    return programs
  })
  return { captured, outputDef, params: { ...known, program, vjp } }
}

/** A derivative that is traced when it is first needed: composites of inference are never differentiated. */
class LazyVjp implements VjpPrograms {
  // Not a property, which a printed program would show.
  readonly #programs: () => VjpPrograms

  constructor(make: () => VjpPrograms) {
    let made: VjpPrograms | undefined
    this.#programs = () => (made ??= make())
  }
  get forward(): Program {
    return this.#programs().forward
  }
  get backward(): Program {
    return this.#programs().backward
  }
}

const applyComposite = <R extends TensorTree>(
  { captured, outputDef, params }: TracedComposite,
  values: readonly Value[],
): R => rebuild<R>(outputDef, bind('composite', [...values, ...captured], params))

/** The rule of `f`, whose arguments are those of structure `def` without the last one. */
function groupRule<A extends TensorTree[], R extends TensorTree>(f: (...args: A) => R, def: TreeDef): GroupRule {
  if (def.kind !== 'list') throw new Error('the arguments of a function are a list')
  const ofOne: TreeDef = { ...def, items: def.items.slice(0, -1) }
  return types => traceTree(f, ofOne, types).program
}

/**
 * `f` with a custom reverse-mode derivative: a `composite` with the name of `f`. As in JAX, `f` and the rule are called
 * at each call.
 */
export function customVjp<A extends TensorTree[], R extends TensorTree, S extends TensorTree>(
  f: (...args: A) => R,
  forward: Vjp<A, R, S>['forward'],
  backward: Vjp<A, R, S>['backward'],
): (...args: A) => R {
  checkFunction(f, 'customVjp: the function')
  checkFunction(forward, 'customVjp: the forward rule')
  checkFunction(backward, 'customVjp: the backward rule')
  const name = f.name || 'customVjp'
  return (...args) => {
    const { values, def } = flattenArgs(args, name)
    const types = values.map(v => v.aval)
    return applyComposite<R>(traceComposite(name, f, { vjp: { forward, backward } }, types, def, false), values)
  }
}

/**
 * `f` with a custom derivative, in forward and in reverse mode. `rule(primals, tangents)` returns [output, tangent of
 * the output], of the types of f's output, and must be linear in the tangents. Tangents have the types of the
 * arguments; those of integers are zeros. Arrays that `f` or the rule closes over cannot be differentiated.
 */
export function customJvp<A extends TensorTree[], R extends TensorTree>(
  f: (...args: A) => R,
  rule: (primals: A, tangents: A) => [output: R, tangent: R],
): (...args: A) => R {
  checkFunction(f, 'customJvp: the function')
  checkFunction(rule, 'customJvp: the rule')
  const name = f.name || 'customJvp'
  return (...args) => {
    const { values, def } = flattenArgs(args, name)
    const traced = traceTree(f, def, values, name)
    const isDifferentiable = values.map(v => isFloat(v.dtype))
    const n = values.length
    const derived = trace(
      [...values, ...values.filter((_, i) => isDifferentiable[i])].map(v => v.aval),
      v => {
        const dots = spread(isDifferentiable, v.slice(n)).map((t, i) => t ?? ops.zerosLike(values[i]))
        const result: unknown = rule(rebuild<A>(def, v.slice(0, n)), rebuild<A>(def, dots))
        check(
          Array.isArray(result) && result.length === 2,
          () => `${name}: the rule must return [output, tangent], not ${describe(result)}`,
        )
        const types = traced.program.outputs.map(o => o.aval)
        const [outputs, tangents] = (result as [R, R]).map((tree, i) =>
          ruleValues(tree, traced.outputDef, types, () => `${name}: the rule's ${i === 0 ? 'output' : 'tangent'}`),
        )
        return [...outputs, ...tangents.filter((_, i) => isFloat(types[i].dtype))]
      },
    )
    const all = [...new Set([...traced.captured, ...derived.captured])]
    const numDeclared = derived.program.inputs.length - derived.captured.length
    const nonLinear = firstNonLinear(
      derived.program,
      derived.program.inputs.map((_, i) => i >= n && i < numDeclared),
    )
    check(
      nonLinear === undefined,
      () =>
        `customJvp: the rule of ${name} must be linear in the tangents, but it applies ${nonLinear} to them ` +
        '(a product of two tangents is not linear)',
    )
    const { inputs, equations, outputs } = share(derived, numDeclared, all)
    // (arguments, tangents, captured) becomes (arguments, captured, tangents).
    const reordered = [...inputs.slice(0, n), ...inputs.slice(numDeclared), ...inputs.slice(n, numDeclared)]
    return rebuild<R>(
      traced.outputDef,
      bind('composite', [...values, ...all], {
        name,
        program: share(traced, n, all),
        jvp: new Program(reordered, equations, outputs),
      }),
    )
  }
}

/** The leaves of a tree that a rule returns. Throws a ShapeError unless they have these types and this structure. */
function ruleValues(tree: TensorTree, def: TreeDef, types: readonly Aval[], what: () => string): Value[] {
  const { leaves, def: got } = flatten<Tensor>(tree)
  check(treeKey(got) === treeKey(def), () => `${what()} must have the structure ${treeKey(def)}, got ${treeKey(got)}`)
  return leaves.map((leaf, i) => {
    check(
      leaf instanceof Tensor && sameAval(leaf.value.aval, types[i]),
      () => `${what()} must be ${formatAval(types[i])}, got ${describe(leaf)}`,
    )
    return leaf.value
  })
}

/**
 * Traces a reverse-mode rule. The function's program and the rule's two programs get the same hidden inputs: all values
 * that any of the three closes over.
 */
function traceVjp<A extends TensorTree[], R extends TensorTree, S extends TensorTree>(
  name: string,
  { forward, backward }: Vjp<A, R, S>,
  { program, captured, outputDef }: TracedFunction,
  types: readonly Aval[],
  def: TreeDef,
): { program: Program; captured: Value[]; vjp: VjpPrograms } {
  let residualDef: TreeDef | undefined
  const ahead = traceTree(
    (...args: A) => {
      const [output, residuals] = forward(...args)
      check(
        treeKey(flatten(output).def) === treeKey(outputDef),
        () =>
          `${name}: the rule's forward must return [output, residuals], the output with the structure of the function's`,
      )
      residualDef = flatten(residuals).def
      return [output, residuals]
    },
    def,
    types,
  )
  program.outputs.forEach((o, i) =>
    check(
      sameAval(o.aval, ahead.program.outputs[i].aval),
      () =>
        `${name}: the rule's forward returns ${formatAval(ahead.program.outputs[i].aval)} where the function returns ${formatAval(o.aval)}`,
    ),
  )

  const residuals = ahead.program.outputs.slice(program.outputs.length)
  const back = trace(
    [...residuals, ...program.outputs].map(o => o.aval),
    v => {
      const kept = rebuild<S>(residualDef!, v.slice(0, residuals.length))
      const cotangent = rebuild<R>(outputDef, v.slice(residuals.length))
      return argumentCotangents(name, backward(kept, cotangent), def, types)
    },
  )

  const all = [...new Set([...captured, ...ahead.captured, ...back.captured])]
  const fromForward = share(ahead, types.length, all)
  const used = back.captured.map(v => fromForward.inputs[types.length + all.indexOf(v)])
  const backInputs = back.program.inputs
  const numDeclared = residuals.length + program.outputs.length
  return {
    captured: all,
    program: share({ program, captured }, types.length, all),
    vjp: {
      forward: new Program(fromForward.inputs, fromForward.equations, [...fromForward.outputs, ...used]),
      backward: new Program(
        [
          ...backInputs.slice(0, residuals.length),
          ...backInputs.slice(numDeclared),
          ...backInputs.slice(residuals.length, numDeclared),
        ],
        back.program.equations,
        back.program.outputs,
      ),
    },
  }
}

/** The cotangents of all arguments' leaves in order, with null replaced by zeros. */
function argumentCotangents(
  name: string,
  cotangents: readonly TensorTree[],
  def: TreeDef,
  types: readonly Aval[],
): Value[] {
  const items = def.kind === 'list' ? def.items : []
  check(
    Array.isArray(cotangents) && cotangents.length === items.length,
    () =>
      `${name}: the rule's backward must return a cotangent for each of the ${items.length} arguments, got ${Array.isArray(cotangents) ? cotangents.length : describe(cotangents)}`,
  )
  let next = 0
  return items.flatMap((item, argument) => {
    const ofArgument = types.slice(next, (next += leafCount(item)))
    const cotangent = cotangents[argument]
    if (cotangent === null) return ofArgument.map(a => ops.full(a.shape, 0, a.dtype))
    return ruleValues(cotangent, item, ofArgument, () => `${name}: the cotangent of argument ${argument}`)
  })
}
