/** Running reductions by an associative function, in a logarithmic number of steps. */
import { check } from '../../../base/errors.js'
import { flatten, treeKey } from '../../../base/pytree.js'
import { formatAval, sameAval } from '../../program/aval.js'
import { checkFunction, readOptions } from '../arguments.js'
import { prefixScan } from '../prefix-scan.js'
import type { Combine } from '../prefix-scan.js'
import { flattenArgs, rebuild } from '../tracing.js'
import type { TensorTree } from '../tracing.js'
import { normalizeAxis } from '../values.js'

/**
 * Running results of an associative function of two trees along an axis of their arrays (default 0): x0, f(x0, x1),
 * f(f(x0, x1), x2), ... `f` gets arrays of any length along that axis, and must combine them element by element.
 * `reverse` goes from the last to the first. About 2 log2(n) applications of `f`, unlike `scan`'s n. Blelloch, "Prefix
 * Sums and Their Applications" (1990).
 */
export function associativeScan<T extends TensorTree>(
  f: (earlier: T, later: T) => T,
  xs: T,
  options: { axis?: number; reverse?: boolean } = {},
): T {
  const { axis = 0, reverse = false } = readOptions('lax.associativeScan', options, ['axis', 'reverse'])
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
  return rebuild<T>(def, prefixScan(combine, values, axes[0], reverse))
}
