import { readOptions } from './arguments.js'
import { isFloat } from '../../base/dtypes.js'
import { check } from '../../base/errors.js'
import { flatten, unflatten } from '../../base/pytree.js'
import { formatAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import type { Program } from '../program/program.js'
import { trace } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { mapped, unmapped } from '../transform/batching.js'
import { jvpEval } from '../transform/jvp.js'
import { vjpEval } from '../transform/linearize.js'
import { batchEval } from '../transform/vmap.js'
import type { Tensor } from './tensor.js'
import { grad } from './transforms.js'
import { flattenArgs, rebuild, traceTree } from './tracing.js'
import type { TensorTree } from './tracing.js'

/** The structure of `R` with the structure of `X` in place of every array. */
export type Jacobian<R extends TensorTree, X extends TensorTree> = R extends Tensor
  ? X
  : { -readonly [K in keyof R]: R[K] extends TensorTree ? Jacobian<R[K], X> : never }

/**
 * All partial derivatives of a function's outputs with respect to argument `argument` (default 0). For each output of
 * shape `a` and each array of the argument of shape `b`: an array of shape [...a, ...b]. `mode` 'reverse' (the default)
 * costs a pullback for each output element, 'forward' a directional derivative for each input element: choose the
 * cheaper.
 */
export function jacobian<A extends TensorTree[], R extends TensorTree, I extends number = 0>(
  f: (...args: A) => R,
  options: { argument?: I; mode?: 'forward' | 'reverse' } = {},
): (...args: A) => Jacobian<R, A[I]> {
  const { argument = 0 as I, mode = 'reverse' } = readOptions('jacobian', options, ['argument', 'mode'])
  return (...args) => {
    const { values, def } = flattenArgs(args, 'jacobian')
    const { program, captured, outputDef } = traceTree(f, def, values, 'jacobian')
    const first = args.slice(0, argument).reduce<number>((n, a) => n + flatten(a).leaves.length, 0)
    const { leaves, def: argumentDef } = flatten(args[argument])
    const positions = ops.range(leaves.length, first)
    for (const a of [...positions.map(i => values[i].aval), ...program.outputs.map(o => o.aval)]) {
      check(isFloat(a.dtype), () => `jacobian is not defined for ${formatAval(a)}: ${a.dtype} has no derivative`)
    }
    const inputs = [...values, ...captured]
    const blocks = mode === 'reverse' ? byRows(program, inputs, positions) : byColumns(program, inputs, positions)
    return unflatten<unknown>(
      outputDef,
      blocks.map(row => rebuild<TensorTree>(argumentDef, row)),
    ) as Jacobian<R, A[I]>
  }
}

/**
 * The second derivatives of a scalar function with respect to argument `argument` (default 0), by forward over reverse
 * mode.
 */
export function hessian<A extends TensorTree[], I extends number = 0>(
  f: (...args: A) => Tensor,
  options: { argument?: I } = {},
): (...args: A) => Jacobian<A[I], A[I]> {
  const { argument = 0 as I } = readOptions('hessian', options, ['argument'])
  return jacobian(grad(f, { argument }) as (...args: A) => A[I], { argument, mode: 'forward' })
}

/**
 * `f` of every unit vector of a type, as one batch. The results have a leading axis, one index for each unit vector.
 */
function alongBasis(type: Aval, f: (direction: Value) => Value[]): Value[] {
  const { program, captured } = trace([type], ([direction]) => f(direction))
  const n = type.shape.reduce((a, b) => a * b, 1)
  const identity = ops.eq(ops.iota('int32', [n, n], 0), ops.iota('int32', [n, n], 1))
  const basis = ops.reshape(ops.convertElementType(identity, type.dtype), [n, ...type.shape])
  return batchEval(program, { size: n }, [mapped(basis), ...captured.map(unmapped)]).map(({ value, batched }) =>
    batched ? value : ops.broadcastInDim(value, [n, ...value.shape], ops.range(value.ndim, 1)),
  )
}

/** The Jacobian by reverse mode: [i][j] holds the derivative of output i with respect to input j. */
function byRows(program: Program, inputs: readonly Value[], positions: readonly number[]): Value[][] {
  const { outputs, pullback } = vjpEval(
    program,
    inputs,
    inputs.map((_, i) => positions.includes(i)),
  )
  return outputs.map((y, k) =>
    alongBasis(y.aval, ct => pullback(outputs.map((_, i) => (i === k ? ct : null)))).map((rows, j) =>
      ops.reshape(rows, [...y.shape, ...inputs[positions[j]].shape]),
    ),
  )
}

/** The Jacobian by forward mode, in the order of `byRows`. */
function byColumns(program: Program, inputs: readonly Value[], positions: readonly number[]): Value[][] {
  const columns = positions.map(position =>
    alongBasis(inputs[position].aval, direction => {
      const [outputs, tangents] = jvpEval(
        program,
        inputs,
        inputs.map((_, i) => (i === position ? direction : null)),
      )
      return tangents.map((t, i) => t ?? ops.zerosLike(outputs[i]))
    }),
  )
  return program.outputs.map((o, k) =>
    positions.map((position, j) => {
      const column = columns[j][k] // [input elements, ...output]
      const ndim = o.aval.shape.length
      return ops.reshape(ops.transpose(column, [...ops.range(ndim, 1), 0]), [
        ...o.aval.shape,
        ...inputs[position].shape,
      ])
    }),
  )
}
