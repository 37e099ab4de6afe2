import { isFloat } from '../../base/dtypes.js'
import { check } from '../../base/errors.js'
import { flatten, treeKey } from '../../base/pytree.js'
import { formatAval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import type { Program } from '../program/program.js'
import { jvpEval } from '../transform/jvp.js'
import { vjpEval } from '../transform/linearize.js'
import { Array } from './array.js'
import { flattenArgs, rebuild, traceTree } from './tracing.js'
import type { ArrayTree } from './tracing.js'

/** The program of a function for these arguments; captured arrays are its last inputs. */
export function makeProgram<A extends ArrayTree[], R extends ArrayTree>(f: (...args: A) => R): (...args: A) => Program {
  return (...args) => {
    const { values, def } = flattenArgs(args)
    return traceTree(f, def, values).program
  }
}

/** The value of a scalar function and its gradient in argument `argument` (default the first). */
export function valueAndGrad<A extends ArrayTree[], I extends number = 0>(f: (...args: A) => Array, argument: I = 0 as I): (...args: A) => [Array, A[I]] {
  return (...args) => {
    const { values, def } = flattenArgs(args)
    const { program, captured } = traceTree(f, def, values)
    check(program.outputs.length === 1 && program.outputs[0].aval.shape.length === 0 && isFloat(program.outputs[0].aval.dtype),
      () => `grad needs a function that returns one floating-point scalar, not ${program.outputs.map(o => formatAval(o.aval)).join(', ')}`)
    const counts = args.map(a => flatten(a).leaves.length)
    const start = counts.slice(0, argument).reduce((a, b) => a + b, 0)
    const isActive = (i: number): boolean => i >= start && i < start + counts[argument]
    values.forEach((v, i) => check(!isActive(i) || isFloat(v.dtype), () => `grad is not defined for ${formatAval(v.aval)}: ${v.dtype} has no derivative`))
    const inputs = [...values, ...captured]
    const { outputs, pullback } = vjpEval(program, inputs, inputs.map((_, i) => isActive(i)))
    const gradients = pullback([ops.full([], 1, outputs[0].dtype)])
    return [new Array(outputs[0]), rebuild(flatten(args[argument]).def, gradients)]
  }
}

/** The gradient of a scalar function in argument `argument` (default the first). */
export function grad<A extends ArrayTree[], I extends number = 0>(f: (...args: A) => Array, argument: I = 0 as I): (...args: A) => A[I] {
  const both = valueAndGrad(f, argument)
  return (...args) => both(...args)[1]
}

/** Value and directional derivative: f(args), and its derivative along `tangents`. */
export function jvp<A extends ArrayTree[], R extends ArrayTree>(f: (...args: A) => R, args: A, tangents: A): [R, R] {
  const { values, def } = flattenArgs(args)
  const dots = flattenArgs(tangents)
  check(treeKey(def) === treeKey(dots.def), 'tangents must have the structure of the arguments')
  const { program, captured, outputDef } = traceTree(f, def, values)
  const [outputs, outDots] = jvpEval(program, [...values, ...captured], [...dots.values, ...captured.map(() => null)])
  return [rebuild<R>(outputDef, outputs), rebuild<R>(outputDef, outDots.map((t, i) => t ?? ops.zerosLike(outputs[i])))]
}

/** The value, and a function from cotangents of the outputs to cotangents of every argument. */
export function vjp<A extends ArrayTree[], R extends ArrayTree>(f: (...args: A) => R, ...args: A): [R, (cotangents: R) => A] {
  const { values, def } = flattenArgs(args)
  const { program, captured, outputDef } = traceTree(f, def, values)
  const { outputs, pullback } = vjpEval(program, [...values, ...captured], [...values.map(() => true), ...captured.map(() => false)])
  return [rebuild<R>(outputDef, outputs), cts => rebuild<ArrayTree>(def, pullback(flattenArgs([cts]).values)) as A]
}
