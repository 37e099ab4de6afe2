import { isFloat } from '../../base/dtypes.js'
import { check } from '../../base/errors.js'
import { flatten, treeKey, treeMap } from '../../base/pytree.js'
import { formatAval, sameAval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import type { Program } from '../program/program.js'
import { jvpEval } from '../transform/jvp.js'
import { vjpEval } from '../transform/linearize.js'
import { Tensor } from './tensor.js'
import { flattenArgs, rebuild, traceTree } from './tracing.js'
import type { TensorTree } from './tracing.js'

/** The program of a function for these arguments; captured arrays are its last inputs. */
export function makeProgram<A extends TensorTree[], R extends TensorTree>(
  f: (...args: A) => R,
): (...args: A) => Program {
  return (...args) => {
    const { values, def } = flattenArgs(args)
    return traceTree(f, def, values).program
  }
}

/** Which argument, or list of arguments, to differentiate in. */
export type Which = number | readonly number[]

/** The type of a gradient: as the argument, or a list of such. */
export type Gradient<A extends TensorTree[], I extends Which> = I extends number
  ? A[I]
  : I extends readonly number[]
    ? { -readonly [K in keyof I]: A[I[K] & number] }
    : never

interface GradOptions<I extends Which> {
  /** The argument to differentiate in (default 0), or a list of arguments: then the gradient is a list. */
  argument?: I
}

/**
 * The value of a scalar function and its gradient. With `hasAux` the function returns [scalar, further results], and so
 * does the value. Throws a ShapeError when the function's value is no floating-point scalar.
 */
export function valueAndGrad<A extends TensorTree[], X extends TensorTree, const I extends Which = 0>(
  f: (...args: A) => readonly [Tensor, X],
  options: GradOptions<I> & { hasAux: true },
): (...args: A) => [[Tensor, X], Gradient<A, I>]
export function valueAndGrad<A extends TensorTree[], const I extends Which = 0>(
  f: (...args: A) => Tensor,
  options?: GradOptions<I>,
): (...args: A) => [Tensor, Gradient<A, I>]
export function valueAndGrad<A extends TensorTree[]>(
  f: (...args: A) => TensorTree,
  { argument = 0, hasAux = false }: GradOptions<Which> & { hasAux?: boolean } = {},
): (...args: A) => [TensorTree, TensorTree] {
  return (...args) => {
    const { values, def } = flattenArgs(args)
    const { program, captured, outputDef } = traceTree(hasAux ? (...xs: A) => lossAndAux(f(...xs)) : f, def, values)
    const loss = hasAux ? program.outputs.slice(0, 1) : program.outputs
    check(
      loss.length === 1 && loss[0].aval.shape.length === 0 && isFloat(loss[0].aval.dtype),
      () =>
        `grad needs a function that returns one floating-point scalar, not ${loss.map(o => formatAval(o.aval)).join(', ')}`,
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
    const { outputs, pullback } = vjpEval(
      program,
      inputs,
      inputs.map((_, i) => active.has(i)),
    )
    const gradients = pullback(outputs.map((y, i) => (i === 0 ? ops.full([], 1, y.dtype) : null)))
    const order = [...active].sort((a, b) => a - b)
    const trees = chosen.map(i =>
      rebuild(
        flatten(args[i]).def,
        leaves[i].map(leaf => gradients[order.indexOf(leaf)]),
      ),
    )
    return [rebuild(outputDef, outputs), typeof argument === 'number' ? trees[0] : trees]
  }
}

/** The loss, and the rest without tangents: no residual is kept for what is not differentiated. */
function lossAndAux(output: TensorTree): TensorTree {
  check(
    Array.isArray(output) && output.length === 2 && output[0] instanceof Tensor,
    'with hasAux the function must return [scalar, further results]',
  )
  const [loss, aux] = output as [Tensor, TensorTree]
  return [loss, treeMap<Tensor, Tensor>(a => new Tensor(ops.stopGradient(a.value)), aux)]
}

/** The positions of each argument's leaves among all leaves. */
function leavesOf(args: readonly TensorTree[]): number[][] {
  let next = 0
  return args.map(a => ops.range(flatten(a).leaves.length).map(() => next++))
}

/** The gradient of a scalar function in argument `argument`, or in a list of arguments: see `valueAndGrad`. */
export function grad<A extends TensorTree[], const I extends Which = 0>(
  f: (...args: A) => Tensor,
  options?: GradOptions<I>,
): (...args: A) => Gradient<A, I> {
  const both = valueAndGrad(f, options)
  return (...args) => both(...args)[1]
}

/** Value and directional derivative: f(args), and its derivative along `tangents` (those of integers are ignored). */
export function jvp<A extends TensorTree[], R extends TensorTree>(f: (...args: A) => R, args: A, tangents: A): [R, R] {
  const { values, def } = flattenArgs(args)
  const dots = flattenArgs(tangents)
  check(treeKey(def) === treeKey(dots.def), 'tangents must have the structure of the arguments')
  values.forEach((v, i) =>
    check(
      sameAval(v.aval, dots.values[i].aval),
      () => `the tangent of ${formatAval(v.aval)} must be of that type, not ${formatAval(dots.values[i].aval)}`,
    ),
  )
  const { program, captured, outputDef } = traceTree(f, def, values)
  const tangentsIn = dots.values.map(t => (isFloat(t.dtype) ? t : null))
  const [outputs, outDots] = jvpEval(program, [...values, ...captured], [...tangentsIn, ...captured.map(() => null)])
  return [
    rebuild<R>(outputDef, outputs),
    rebuild<R>(
      outputDef,
      outDots.map((t, i) => t ?? ops.zerosLike(outputs[i])),
    ),
  ]
}

/** The value, and a function from cotangents of the outputs to cotangents of every argument (zeros for integers). */
export function vjp<A extends TensorTree[], R extends TensorTree>(
  f: (...args: A) => R,
  ...args: A
): [R, (cotangents: R) => A] {
  const { values, def } = flattenArgs(args)
  const { program, captured, outputDef } = traceTree(f, def, values)
  const active = values.map(v => isFloat(v.dtype))
  const { outputs, pullback } = vjpEval(program, [...values, ...captured], [...active, ...captured.map(() => false)])
  return [
    rebuild<R>(outputDef, outputs),
    cotangents => {
      const cts = flattenArgs([cotangents])
      check(
        cts.values.length === outputs.length && outputs.every((y, i) => sameAval(y.aval, cts.values[i].aval)),
        () =>
          `the cotangents must be ${outputs.map(y => formatAval(y.aval)).join(', ')}, not ${cts.values.map(v => formatAval(v.aval)).join(', ')}`,
      )
      const gradients = pullback(cts.values).values()
      return rebuild<TensorTree>(
        def,
        values.map((v, i) => (active[i] ? gradients.next().value! : ops.zerosLike(v))),
      ) as A
    },
  ]
}
