/** Running results of associative functions, in a logarithmic number of steps. */
import * as ops from '../program/ops.js'
import type { Value } from '../program/value.js'

/** An associative function of two lists of values, element by element along the scanned axis. */
export type Combine = (earlier: Value[], later: Value[]) => Value[]

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

/** Interleaves two values along an axis: even[0], odd[0], even[1], ... `even` is as long as `odd`, or longer by 1. */
function interleave(even: Value, odd: Value, axis: number): Value {
  const [n, m] = [even.shape[axis], odd.shape[axis]]
  const spread = (x: Value, low: number, high: number): Value => {
    const at = (n: number): number[] => x.shape.map((_, i) => (i === axis ? n : 0))
    return ops.pad(x, ops.full([], 0, x.dtype), at(low), at(high), at(1))
  }
  const isEven = ops.eq(ops.rem(ops.iota('int32', even.shape.toSpliced(axis, 1, n + m), axis), 2), 0)
  return ops.select(isEven, spread(even, 0, n > m ? 0 : 1), spread(odd, 1, n > m ? 1 : 0))
}

/**
 * Running results of an associative function along an axis: `lax.associativeScan` on values. Neighbours are combined
 * into half as many pairs. The running results of the pairs, found by recursion, are the results at odd positions; one
 * more application of `combine` gives the results at even positions.
 */
export function prefixScan(combine: Combine, xs: readonly Value[], axis: number, reverse: boolean): Value[] {
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
