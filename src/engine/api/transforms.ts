/** Derivatives of functions of trees of arrays. */
import { readOptions } from './arguments.js'
import { isFloat } from '../../base/dtypes.js'
import { check } from '../../base/errors.js'
import { flatten, treeKey } from '../../base/pytree.js'
import type { TreeDef } from '../../base/pytree.js'
import { formatAval, sameAval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import type { Program } from '../program/program.js'
import type { Value } from '../program/value.js'
import { jvpEval } from '../transform/jvp.js'
import { linearizeEval, vjpEval } from '../transform/linearize.js'
import { select, spread } from '../transform/masks.js'
import type { Tangent } from '../transform/rules.js'
import { parts, splitOptions, valueMask } from './has-aux.js'
import type { HasAux } from './has-aux.js'
import type { Tensor } from './tensor.js'
import { flattenArgs, rebuild, traceTree } from './tracing.js'
import type { TensorTree } from './tracing.js'

/**
 * The program of a function for arguments of these types. Its last inputs are the arrays that the function closes over.
 */
export function makeProgram<A extends TensorTree[], R extends TensorTree>(
  f: (...args: A) => R,
): (...args: A) => Program {
  return (...args) => {
    const { values, def } = flattenArgs(args, 'makeProgram')
    return traceTree(f, def, values, 'makeProgram').program
  }
}

/** The position of the argument to differentiate with respect to, or a list of positions. */
export type Which = number | readonly number[]

/** The type of a gradient: the type of the chosen argument, or a list of the types of the chosen arguments. */
export type Gradient<A extends TensorTree[], I extends Which> = I extends number
  ? A[I]
  : I extends readonly number[]
    ? { -readonly [K in keyof I]: A[I[K] & number] }
    : never

export interface GradOptions<I extends Which> {
  /** The argument to differentiate with respect to (default 0), or a list of arguments: then the gradient is a list. */
  argument?: I
}

/**
 * A function that returns the value of a scalar function and its gradient: `[value, gradient]`. With `hasAux` the
 * function returns `[scalar, auxiliary results]`, and the result is `[[scalar, auxiliary results], gradient]`. An outer
 * derivative differentiates the auxiliary results too. Throws a ShapeError when the value is not a floating-point
 * scalar, or the chosen argument holds integers.
 */
export function valueAndGrad<A extends TensorTree[], X extends TensorTree, const I extends Which = 0>(
  f: (...args: A) => readonly [Tensor, X],
  options: GradOptions<I> & HasAux,
): (...args: A) => [[Tensor, X], Gradient<A, I>]
export function valueAndGrad<A extends TensorTree[], const I extends Which = 0>(
  f: (...args: A) => Tensor,
  options?: GradOptions<I>,
): (...args: A) => [Tensor, Gradient<A, I>]
export function valueAndGrad<A extends TensorTree[]>(
  f: (...args: A) => TensorTree,
  options: GradOptions<Which> & { hasAux?: boolean } = {},
): (...args: A) => [TensorTree, TensorTree] {
  const { argument = 0, hasAux = false } = readOptions('valueAndGrad', options, ['argument', 'hasAux'])
  return (...args) => {
    const { values, def } = flattenArgs(args, 'grad')
    const { program, captured, outputDef } = traceTree(f, def, values, 'grad')
    const isLoss = hasAux ? valueMask('grad', outputDef) : program.outputs.map(() => true)
    const loss = select(program.outputs, isLoss)
    check(
      loss.length === 1 && loss[0].aval.shape.length === 0 && isFloat(loss[0].aval.dtype),
      () =>
        `grad needs a function that returns one floating-point scalar, not ${loss.map(o => formatAval(o.aval)).join(', ') || 'nothing'}`,
    )
    const chosen = typeof argument === 'number' ? [argument] : argument
    const leaves = leavesOf(args)
    chosen.forEach(i => check(i in args, () => `grad in argument ${i}: the function was called with ${args.length}`))
    const active = new Set(chosen.flatMap(i => leaves[i]))
    for (const i of active)
      check(
        isFloat(values[i].dtype),
        () => `grad is not defined for ${formatAval(values[i].aval)}: ${values[i].dtype} has no derivative`,
      )

    const inputs = [...values, ...captured]
    const activeInputs = inputs.map((_, i) => active.has(i))
    const { outputs, pullback } = vjpEval(program, inputs, activeInputs, isLoss)
    const gradients = pullback(outputs.map((y, i) => (isLoss[i] ? ops.full([], 1, y.dtype) : null)))
    // The pullback returns the gradients of the active inputs in the order of the inputs.
    const gradientOf = new Map([...active].sort((a, b) => a - b).map((leaf, i) => [leaf, gradients[i]]))
    const trees = chosen.map(i =>
      rebuild(
        flatten(args[i]).def,
        leaves[i].map(leaf => gradientOf.get(leaf)!),
      ),
    )
    return [rebuild(outputDef, outputs), typeof argument === 'number' ? trees[0] : trees]
  }
}

/** The positions of each argument's leaves among all leaves. */
function leavesOf(args: readonly TensorTree[]): number[][] {
  let next = 0
  return args.map(a => ops.range(flatten(a).leaves.length).map(() => next++))
}

/**
 * A function that returns the gradient of a scalar function; with `hasAux`, `[gradient, auxiliary results]`. See
 * `valueAndGrad`.
 */
export function grad<A extends TensorTree[], X extends TensorTree, const I extends Which = 0>(
  f: (...args: A) => readonly [Tensor, X],
  options: GradOptions<I> & HasAux,
): (...args: A) => [Gradient<A, I>, X]
export function grad<A extends TensorTree[], const I extends Which = 0>(
  f: (...args: A) => Tensor,
  options?: GradOptions<I>,
): (...args: A) => Gradient<A, I>
export function grad<A extends TensorTree[]>(
  f: (...args: A) => TensorTree,
  options: GradOptions<Which> & { hasAux?: boolean } = {},
): (...args: A) => TensorTree {
  const known = readOptions('grad', options, ['argument', 'hasAux'])
  const both = valueAndGrad(f as (...args: A) => readonly [Tensor, TensorTree], known as GradOptions<Which> & HasAux)
  return (...args) => {
    const [value, gradient] = both(...args) as [readonly [Tensor, TensorTree], TensorTree]
    return known.hasAux ? [gradient, value[1]] : gradient
  }
}

/**
 * Forward mode: `[f(args), directional derivative]`, the derivative of f at `args` along `tangents`, which have the
 * types of the arguments (tangents of integers are ignored). With `hasAux` the function returns [value, auxiliary
 * results], and the result is `[value, derivative, auxiliary results]`.
 */
export function jvp<A extends TensorTree[], R extends TensorTree, X extends TensorTree>(
  f: (...args: A) => readonly [R, X],
  args: A,
  tangents: A,
  options: HasAux,
): [R, R, X]
export function jvp<A extends TensorTree[], R extends TensorTree>(f: (...args: A) => R, args: A, tangents: A): [R, R]
export function jvp<A extends TensorTree[]>(
  f: (...args: A) => TensorTree,
  args: A,
  tangents: A,
  options: { hasAux?: boolean } = {},
): TensorTree[] {
  const { hasAux = false } = readOptions('jvp', options, ['hasAux'])
  const { values, def } = flattenArgs(args, 'jvp')
  const traced = traceTree(f, def, values, 'jvp')
  const dots = tangentsFor('jvp', values, def, tangents)
  const { program, captured } = traced
  const [outputs, outDots] = jvpEval(program, [...values, ...captured], [...dots, ...captured.map(() => null)])
  const { value, derivative, aux } = parts('jvp', traced, outputs, hasAux)
  return [value, derivative(outDots), ...aux]
}

/** The tangents of the arguments' leaves; null for integers. */
function tangentsFor(who: string, values: readonly Value[], def: TreeDef, tangents: readonly TensorTree[]): Tangent[] {
  const dots = flattenArgs(tangents, who)
  check(
    treeKey(def) === treeKey(dots.def),
    () => `${who}: the tangents must have the structure of the arguments, ${treeKey(def)}, not ${treeKey(dots.def)}`,
  )
  values.forEach((v, i) => {
    const got = dots.values[i].aval
    check(
      sameAval(v.aval, got),
      () => `the tangent of ${formatAval(v.aval)} must be of that type, not ${formatAval(got)}`,
    )
  })
  return dots.values.map(t => (isFloat(t.dtype) ? t : null))
}

/**
 * Reverse mode: `[f(...args), pullback]`. The pullback takes cotangents, of the structure and types of the value, and
 * returns a cotangent for each argument (zeros for integers). With `{ hasAux: true }` as the last argument the function
 * returns [value, auxiliary results], and the result is `[value, pullback, auxiliary results]`.
 */
export function vjp<A extends TensorTree[], R extends TensorTree, X extends TensorTree>(
  f: (...args: A) => readonly [R, X],
  ...args: [...A, HasAux]
): [R, (cotangents: R) => A, X]
export function vjp<A extends TensorTree[], R extends TensorTree>(
  f: (...args: A) => R,
  ...args: A
): [R, (cotangents: R) => A]
export function vjp<A extends TensorTree[]>(f: (...args: A) => TensorTree, ...rest: unknown[]): unknown[] {
  const { args, hasAux } = splitOptions<A>(rest)
  const { values, def } = flattenArgs(args, 'vjp')
  const traced = traceTree(f, def, values, 'vjp')
  const { program, captured, outputDef } = traced
  const active = values.map(v => isFloat(v.dtype))
  const { outputs, pullback } = vjpEval(
    program,
    [...values, ...captured],
    [...active, ...captured.map(() => false)],
    hasAux ? valueMask('vjp', outputDef) : undefined,
  )
  const { isValue, value, valueKey, valueTypes, aux } = parts('vjp', traced, outputs, hasAux)
  const back = (cotangents: TensorTree): A => {
    const { values: cts, def: ctDef } = flattenArgs([cotangents], 'vjp')
    check(
      treeKey(ctDef) === `[${valueKey}]`,
      () => `the cotangents must have the structure of the value, ${valueKey}, not ${treeKey(ctDef).slice(1, -1)}`,
    )
    check(
      valueTypes.every((type, i) => sameAval(type, cts[i].aval)),
      () =>
        `the cotangents must be ${valueTypes.map(formatAval).join(', ')}, not ${cts.map(v => formatAval(v.aval)).join(', ')}`,
    )
    const gradients = spread(active, pullback(spread(isValue, cts)))
    return rebuild<TensorTree>(
      def,
      gradients.map((g, i) => g ?? ops.zerosLike(values[i])),
    ) as A
  }
  return [value, back, ...aux]
}

/**
 * The value and the derivative as a linear function: `[f(...args), pushforward]`. The pushforward takes tangents, of
 * the types of the arguments, and returns the directional derivative, as `jvp` does, but the value is computed only
 * once for any number of directions. `{ hasAux: true }` as for `vjp`.
 */
export function linearize<A extends TensorTree[], R extends TensorTree, X extends TensorTree>(
  f: (...args: A) => readonly [R, X],
  ...args: [...A, HasAux]
): [R, (...tangents: A) => R, X]
export function linearize<A extends TensorTree[], R extends TensorTree>(
  f: (...args: A) => R,
  ...args: A
): [R, (...tangents: A) => R]
export function linearize<A extends TensorTree[]>(f: (...args: A) => TensorTree, ...rest: unknown[]): unknown[] {
  const { args, hasAux } = splitOptions<A>(rest)
  const { values, def } = flattenArgs(args, 'linearize')
  const traced = traceTree(f, def, values, 'linearize')
  const { program, captured, outputDef } = traced
  const active = values.map(v => isFloat(v.dtype))
  const { outputs, pushforward } = linearizeEval(
    program,
    [...values, ...captured],
    [...active, ...captured.map(() => false)],
    hasAux ? valueMask('linearize', outputDef) : undefined,
  )
  const { value, derivative, aux } = parts('linearize', traced, outputs, hasAux)
  const forward = (...tangents: A): TensorTree =>
    derivative(pushforward(select(tangentsFor('linearize', values, def, tangents), active) as Value[]))
  return [value, forward, ...aux]
}
