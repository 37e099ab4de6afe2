/** Running reductions by an associative function, in a logarithmic number of steps. */
import { check } from '../../../base/errors.js'
import { flatten, treeKey } from '../../../base/pytree.js'
import { formatAval, sameAval } from '../../program/aval.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { checkFunction } from '../arguments.js'
import { flattenArgs, rebuild } from '../tracing.js'
import type { TensorTree } from '../tracing.js'
import { normalizeAxis } from '../values.js'

type Combine = (earlier: Value[], later: Value[]) => Value[]

/** Elements start, start + step, ... before `end` along an axis. */
function every(x: Value, axis: number, start: number, step: number, end = x.shape[axis]): Value {
  const from = x.shape.map((_, i) => (i === axis ? Math.min(start, end) : 0))
  const to = x.shape.map((d, i) => (i === axis ? end : d))
  return ops.slice(
    x,
    from,
    to,
    x.shape.map((_, i) => (i === axis ? step : 1)),
  )
}

/** The elements of `even` and `odd` in turn along an axis. `even` has as many elements, or one more. */
function interleave(even: Value, odd: Value, axis: number): Value {
  const [n, m] = [even.shape[axis], odd.shape[axis]]
  const spread = (x: Value, low: number, high: number): Value => {
    const at = (n: number): number[] => x.shape.map((_, i) => (i === axis ? n : 0))
    return ops.pad(x, ops.full([], 0, x.dtype), at(low), at(high), at(1))
  }
  const isEven = ops.eq(ops.rem(ops.iota('int32', even.shape.toSpliced(axis, 1, n + m), axis), 2), 0)
  return ops.select(isEven, spread(even, 0, n > m ? 0 : 1), spread(odd, 1, n > m ? 1 : 0))
}

/** `associativeScan` on values. Pairs are combined, their running results found by the same way, and the rest filled in. */
export function associativeScanValues(combine: Combine, xs: readonly Value[], axis: number, reverse: boolean): Value[] {
  const turned = reverse ? xs.map(x => ops.rev(x, [axis])) : [...xs]
  const scan = (items: Value[]): Value[] => {
    const n = items[0].shape[axis]
    if (n < 2) return items
    const half = Math.floor(n / 2)
    const pairs = combine(
      items.map(x => every(x, axis, 0, 2, 2 * half)),
      items.map(x => every(x, axis, 1, 2, 2 * half)),
    )
    const odd = scan(pairs) // the results at 1, 3, 5, ...
    const first = items.map(x => every(x, axis, 0, 1, 1))
    const later = items.map(x => every(x, axis, 2, 2))
    const even =
      later[0].shape[axis] === 0
        ? first
        : combine(
            odd.map(x => every(x, axis, 0, 1, later[0].shape[axis])),
            later,
          ).map((x, i) => ops.concatenate([first[i], x], axis))
    return even.map((x, i) => interleave(x, odd[i], axis))
  }
  const results = scan(turned)
  return reverse ? results.map(x => ops.rev(x, [axis])) : results
}

/**
 * Running results of an associative function of two trees along an axis of their arrays (default 0): x0, f(x0, x1),
 * f(f(x0, x1), x2), ... `f` gets arrays of any length along that axis, and must combine them element by element. `reverse`
 * goes from the last to the first. About 2 log2(n) applications of `f`, unlike `scan`'s n. Blelloch, "Prefix Sums and Their
 * Applications" (1990).
 */
export function associativeScan<T extends TensorTree>(
  f: (earlier: T, later: T) => T,
  xs: T,
  { axis = 0, reverse = false }: { axis?: number; reverse?: boolean } = {},
): T {
  checkFunction(f, 'associativeScan: the function')
  const { values, def: argsDef } = flattenArgs([xs], 'associativeScan')
  const { def } = flatten(xs)
  check(values.length > 0, 'associativeScan needs an array or more')
  const axes = values.map(v => normalizeAxis(axis, v.ndim))
  check(
    axes.every((a, i) => a === axes[0] && values[i].shape[a] === values[0].shape[axes[0]]),
    () =>
      `associativeScan: the arrays have different lengths along axis ${axis}: ${values.map(v => formatAval(v.aval)).join(', ')}`,
  )
  const combine: Combine = (earlier, later) => {
    const result = flattenArgs([f(rebuild<T>(def, earlier), rebuild<T>(def, later))], 'associativeScan')
    check(
      treeKey(result.def) === treeKey(argsDef) && result.values.every((v, i) => sameAval(v.aval, later[i].aval)),
      () =>
        `associativeScan: the function must return the structure and types of its arguments, ${later.map(v => formatAval(v.aval)).join(', ')}, not ${result.values.map(v => formatAval(v.aval)).join(', ')}`,
    )
    return result.values
  }
  return rebuild<T>(def, associativeScanValues(combine, values, axes[0], reverse))
}
