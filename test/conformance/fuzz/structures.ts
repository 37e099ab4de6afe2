import { composite, customVjp } from '../../../src/engine/api/composite.js'
import { jit } from '../../../src/engine/api/jit.js'
import * as lax from '../../../src/engine/api/lax.js'
import { remat } from '../../../src/engine/api/remat.js'
import { Tensor } from '../../../src/engine/api/tensor.js'
import * as ops from '../../../src/engine/program/ops.js'
import type { Value } from '../../../src/engine/program/value.js'
import { isFloat } from '../../../src/base/dtypes.js'
import { given, lifted } from './operation.js'
import type { Context, Operation } from './operation.js'

/** A number from 0 to `count` - 1 that depends on the elements of two arrays. */
const choice = (x: Tensor, y: Tensor, count: number): Tensor => {
  const less = ops.convertElementType(ops.lt(x.value, y.value), 'int32')
  const number = ops.reduceSum(less, ops.range(less.ndim))
  return new Tensor(ops.rem(ops.add(number, x.ndim), count))
}

/** The function of tensors that a step's inner steps are. Its result has its first argument's type. */
const body =
  ({ inside }: Context) =>
  (...tensors: Tensor[]): Tensor =>
    new Tensor(inside(tensors.map(t => t.value)))
/** The same for a branch, or a loop whose length depends on the data. */
const branch = (context: Context): ((...tensors: Tensor[]) => Tensor) =>
  body({ ...context, inside: context.insideBranch })

/** A scan over the rows of x: the body makes a new carry of the row, the carry and an array from outside. */
function scanRows(x: Value, context: Context): Value {
  const { a, b, other } = context
  const row = ops.full(x.shape.slice(1), 1, x.dtype)
  const captured = new Tensor(other(x))
  const [carry, rows] = lax.scan(
    (last: Tensor, next: Tensor): [Tensor, Tensor] => {
      const made = body(context)(next, last, captured)
      return [made, lax.select(lax.lt(made, last), last, made)]
    },
    new Tensor(row),
    new Tensor(x),
    { reverse: b % 2 === 1 },
  )
  return (a % 2 ? carry : rows).value
}

/** Loops of a known length, branches and functions, which reverse mode can differentiate. */
export const differentiableStructures: readonly Operation[] = [
  lifted((x, y, c) =>
    lax.switchBranch(
      choice(x, y, 3),
      [branch(c), (left, right) => branch(c)(lax.max(left, right), left), left => left],
      x,
      y,
    ),
  ),
  lifted((x, y, c) =>
    lax.cond(choice(x, y, 2), branch(c), (left, right) => lax.select(lax.lt(left, right), right, left), x, y),
  ),
  given(x => x.ndim > 0 && x.shape[0] <= 17, scanRows),
  given(x => x.ndim > 0 && x.shape[0] <= 17, scanRows),
  lifted((x, y, c) => lax.foriLoop(0, c.a % 4, (i, state) => body(c)(state, y, i), x)),
  lifted((x, y, c) => composite('fuzzed', body(c))(x, y)),
  lifted((x, y, c) => jit(body(c))(x, y)),
  lifted((x, y, c) => remat(body(c))(x, y)),
  given(
    x => isFloat(x.dtype),
    lifted((x, y, c) => {
      const f = body(c)
      return customVjp(
        (left: Tensor, right: Tensor) => f(left, right),
        (left, right) => [f(left, right), right],
        (right: Tensor, ct) => [lax.neg(ct), lax.select(lax.lt(right, 1), ct, lax.mul(ct, 0.5))],
      )(x, y)
    }),
  ),
]

/** Besides, loops whose length depends on the data. */
export const everyStructure: readonly Operation[] = [
  ...differentiableStructures,
  lifted((x, y, c) => lax.foriLoop(0, choice(x, y, 4), (i, state) => branch(c)(state, y, i), x)),
]
