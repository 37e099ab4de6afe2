import { check } from '../../../base/errors.js'
import { aval } from '../aval.js'
import type { Aval } from '../aval.js'
import type { ReduceParams } from '../primitives.js'
import { checkAxes, isAny, isNumeric } from './rule.js'
import type { DTypePredicate, ShapeRules } from './rule.js'

/** A reduction over several axes, which the output lacks. */
function reduce(isAllowed: DTypePredicate) {
  return ([x]: readonly Aval[], { axes }: ReduceParams): Aval[] => {
    checkAxes(axes, x.shape.length)
    check(isAllowed(x.dtype), () => `not defined for ${x.dtype}`)
    return [
      aval(
        x.dtype,
        x.shape.filter((_, i) => !axes.includes(i)),
      ),
    ]
  }
}

/** A position along one axis, which the output lacks. */
const reduceIndex = ([x]: readonly Aval[], { axis }: { axis: number }): Aval[] => {
  checkAxes([axis], x.shape.length)
  check(x.shape[axis] > 0, 'the axis is empty')
  return [
    aval(
      'int32',
      x.shape.filter((_, i) => i !== axis),
    ),
  ]
}

/** Reductions and cumulative sums. */
export const reductionShapes = {
  reduceSum: reduce(isAny),
  reduceMax: reduce(isAny),
  reduceMin: reduce(isAny),
  reduceProd: reduce(isAny),
  reduceAnd: reduce(d => d === 'bool'),
  reduceOr: reduce(d => d === 'bool'),
  argmax: reduceIndex,
  argmin: reduceIndex,
  cumsum: ([x], { axis }) => {
    checkAxes([axis], x.shape.length)
    check(isNumeric(x.dtype), 'not defined for bool; convert it first (np.astype)')
    return [x]
  },
} satisfies ShapeRules
