/** Checks of what callers pass to array functions. */
import { check } from '../../base/errors.js'
import { isInteger, extremeOf } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import type { Value } from '../program/value.js'
import { describe, isScalar } from './describe.js'
import { commonDtypeOf, valueOf as nestedValue } from './nested.js'
import { Tensor } from './tensor.js'
import type { TensorLike } from './tensor.js'
import type { Axes } from './values.js'

/** Throws a ShapeError unless `f` is a function. `what` names the caller and the argument: "grad: the function". */
export function checkFunction(f: unknown, what: string): void {
  check(typeof f === 'function', () => `${what} must be a function, not ${describe(f)}`)
}

/**
 * The value of an array, a bare number or nested lists. `dtype` is the dtype of numbers and lists (default: float32 for
 * numbers, bool for booleans, int64 for bigints); an array keeps its own. Throws a ShapeError that begins with `what`
 * for any other argument, and for a number that the dtype cannot hold.
 */
export function valueOf(x: TensorLike, what: string, dtype?: DType): Value {
  if (x instanceof Tensor) return x.value
  check(isScalar(x) || Array.isArray(x), () => `${what} must be an array or a number, not ${describe(x)}`)
  const chosen = dtype ?? commonDtypeOf([x])
  if (isScalar(x)) checkHolds(chosen, x, what)
  return nestedValue(x, chosen)
}

/** Throws a ShapeError if an integer dtype cannot hold the number, which would be truncated or wrap around silently. */
function checkHolds(dtype: DType, x: number | bigint | boolean, what: string): void {
  if (!isInteger(dtype) || typeof x === 'boolean') return
  check(
    (typeof x === 'bigint' || Number.isInteger(x)) &&
      x >= extremeOf(dtype, 'least') &&
      x <= extremeOf(dtype, 'greatest'),
    () => `${what}: ${dtype} cannot hold ${x}`,
  )
}

/** One axis as an option. */
export interface AxisOption {
  axis?: number
}

/**
 * Checks the options of a function. Throws a ShapeError unless they are an object that has no keys but these, and has
 * `required`. `name`: the function as the caller writes it, "np.diff".
 */
export function readOptions<O extends object>(
  name: string,
  options: O,
  keys: readonly (keyof O & string)[],
  required?: keyof O & string,
): O {
  const given: unknown = options
  const form = `{ ${keys.join(', ')} }`
  const isMissing =
    required !== undefined && (given === undefined || (given as Partial<O> | null)?.[required] === undefined)
  check(
    (typeof given === 'object' && given !== null && !Array.isArray(given) && !(given instanceof Tensor)) ||
      (given === undefined && isMissing),
    () => `${name} takes its options as an object, ${form}, not ${describe(given)}`,
  )
  for (const key of Object.keys(given ?? {})) {
    check((keys as readonly string[]).includes(key), () => `${name} has no option ${key}: its options are ${form}`)
  }
  check(!isMissing, () => `${name} needs the option ${required}: give ${form}`)
  return options
}

/** Checks the options of a reduction, which may be its axis or axes alone, as in NumPy: see `readOptions`. */
export function readAxisOptions<O extends { axis?: Axes }>(
  name: string,
  options: O | Axes,
  keys: readonly (keyof O & string)[],
): O {
  if (typeof options === 'number' || Array.isArray(options)) return { axis: options as Axes } as O
  return readOptions(name, options as O, keys)
}

/** The axis of a function along one axis, given alone or as an option: see `readOptions`. */
export const readAxis = (name: string, axis: number | AxisOption, otherwise: number): number =>
  typeof axis === 'number' ? axis : (readOptions(name, axis, ['axis']).axis ?? otherwise)
