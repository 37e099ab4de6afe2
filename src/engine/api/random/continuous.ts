/** Continuous distributions, float32. */
import { allocate } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import { sameShape } from '../../program/aval.js'
import * as ops from '../../program/ops.js'
import { scan } from '../lax/control-flow.js'
import * as np from '../np.js'
import { readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { broadcastShapes, checkShape } from '../values.js'
import type { Shape } from '../values.js'
import { vmap } from '../vmap.js'
import { asOneProgram } from './draw.js'
import { bits } from './keys.js'

/** Uniform in [minval, maxval). 23 random bits become the fraction of a number in [1, 2), which is then scaled. */
export function uniform(
  k: Tensor,
  shape: Shape = [],
  options: { minval?: TensorLike; maxval?: TensorLike } = {},
): Tensor {
  const { minval = 0, maxval = 1 } = readOptions('random.uniform', options, ['minval', 'maxval'])
  const lengths = checkShape(shape)
  if (minval === 0 && maxval === 1) return drawFraction([k], lengths)
  const width =
    typeof minval === 'number' && typeof maxval === 'number'
      ? Math.fround(Math.fround(maxval) - Math.fround(minval))
      : np.subtract(maxval, minval)
  return drawBetween([k, np.asarray(minval), np.asarray(width)], lengths)
}
const drawFraction = asOneProgram(([k], lengths: readonly number[]) => {
  const fraction = ops.shiftRightLogical(bits(k, lengths).value, 9)
  return new Tensor(ops.sub(ops.bitcastConvertType(ops.or(fraction, 0x3f800000), 'float32'), 1))
})
const drawBetween = asOneProgram(([k, minval, width], lengths: readonly number[]) => {
  const sum = np.add(np.multiply(drawFraction([k], lengths), width), minval)
  return np.maximum(sum, minval) // the sum may round below
})

/** The float32 next to x, up or down. */
function nextFloat(x: number, direction: 1 | -1): number {
  const data = allocate('float32', 1) as Float32Array
  data[0] = x
  if (data[0] === 0) return direction * 2 ** -149
  const words = new Int32Array(data.buffer)
  words[0] += data[0] > 0 === direction > 0 ? 1 : -1
  return data[0]
}

const sqrt2 = Math.fround(Math.SQRT2)

/** The standard normal distribution: sqrt(2) erfInv(u), with u uniform in (-1, 1). */
export const normal = (k: Tensor, shape: Shape = []): Tensor => drawNormal([k], checkShape(shape))
const drawNormal = asOneProgram(([k], lengths: readonly number[]) =>
  np.multiply(np.erfInv(uniform(k, lengths, { minval: nextFloat(-1, 1), maxval: 1 })), sqrt2),
)

/** The standard normal distribution, conditioned on lying in (lower, upper). */
export function truncatedNormal(k: Tensor, lower: number, upper: number, shape: Shape = []): Tensor {
  check(lower < upper, () => `truncatedNormal needs lower < upper, not ${lower} and ${upper}`)
  const numbers = [lower / sqrt2, upper / sqrt2, nextFloat(lower, 1), nextFloat(upper, -1)]
  return drawTruncated([k, ...numbers.map(x => np.array(x))], checkShape(shape))
}
const drawTruncated = asOneProgram(([k, lower, upper, least, greatest], lengths: readonly number[]) => {
  const u = uniform(k, lengths, { minval: np.erf(lower), maxval: np.erf(upper) })
  return np.clip(np.multiply(np.erfInv(u), sqrt2), least, greatest)
})

/** The exponential distribution of rate 1: -log(1 - u). */
export const exponential = (k: Tensor, shape: Shape = []): Tensor => drawExponential([k], checkShape(shape))
const drawExponential = asOneProgram(([k], lengths: readonly number[]) =>
  np.negative(np.log1p(np.negative(uniform(k, lengths)))),
)

/** The Laplace distribution of mean 0 and scale 1: sign(u) log(1 - |u|), with u uniform in (-1, 1). */
export const laplace = (k: Tensor, shape: Shape = []): Tensor => drawLaplace([k], checkShape(shape))
const drawLaplace = asOneProgram(([k], lengths: readonly number[]) => {
  const u = uniform(k, lengths, { minval: -1 + 2 ** -24, maxval: 1 })
  return np.multiply(np.sign(u), np.log1p(np.negative(np.abs(u))))
})

const smallestNormal = 2 ** -126

/** The logistic distribution of mean 0 and scale 1: log(u) - log(1 - u). */
export const logistic = (k: Tensor, shape: Shape = []): Tensor => drawLogistic([k], checkShape(shape))
const drawLogistic = asOneProgram(([k], lengths: readonly number[]) => {
  const u = uniform(k, lengths, { minval: smallestNormal, maxval: 1 })
  return np.subtract(np.log(u), np.log1p(np.negative(u)))
})

/** The Cauchy distribution of median 0 and scale 1: tan(pi (u - 0.5)). */
export const cauchy = (k: Tensor, shape: Shape = []): Tensor => drawCauchy([k], checkShape(shape))
const drawCauchy = asOneProgram(([k], lengths: readonly number[]) =>
  np.tan(np.multiply(np.subtract(uniform(k, lengths, { minval: 2 ** -23, maxval: 1 }), 0.5), Math.PI)),
)

/** The Gumbel distribution of location 0 and scale 1: -log(-log(u)). */
export const gumbel = (k: Tensor, shape: Shape = []): Tensor => drawGumbel([k], checkShape(shape))
const drawGumbel = asOneProgram(([k], lengths: readonly number[]) =>
  np.negative(np.log(np.negative(np.log(uniform(k, lengths, { minval: smallestNormal, maxval: 1 }))))),
)

/** The lower triangular L with L L^T = a, for a positive definite matrix [n, n]; column after column. */
function cholesky(a: Tensor): Tensor {
  const rows = np.arange(a.shape[0])
  const step = (l: Tensor, j: Tensor): [Tensor, null] => {
    const column = np.subtract(np.take(a, j, 1), np.matmul(l, np.take(l, j, 0)))
    const scaled = np.divide(column, np.sqrt(np.take(column, j)))
    const isColumn = np.equal(rows, j)
    const isBelow = np.greaterEqual(np.expandDims(rows, 1), j)
    return [np.where(np.logicalAnd(isColumn, isBelow), np.expandDims(scaled, 1), l), null]
  }
  return scan(step, np.zerosLike(a), rows)[0]
}

/**
 * The normal distribution of a mean [..., n] and a covariance [..., n, n], which must be positive definite: mean + L z,
 * with L L^T the covariance and z standard normal. Result: [...shape, n]; `shape` is that of the leading axes unless
 * given.
 */
export function multivariateNormal(k: Tensor, mean: Tensor, covariance: Tensor, shape?: Shape): Tensor {
  const n = mean.shape.at(-1)
  check(
    n !== undefined && covariance.ndim >= 2 && sameShape(covariance.shape.slice(-2), [n, n]),
    () => `multivariateNormal needs a mean [..., n] and a covariance [..., n, n], not ${mean} and ${covariance}`,
  )
  const leading = covariance.shape.slice(0, -2)
  const drawn = checkShape(shape ?? broadcastShapes(mean.shape.slice(0, -1), leading))
  check(
    sameShape(broadcastShapes(drawn, mean.shape.slice(0, -1), leading), drawn),
    () => `multivariateNormal: ${mean} and ${covariance} do not broadcast to the shape [${drawn}]`,
  )
  const wide = np.astype(covariance, 'float32')
  const flat = np.reshape(wide, [-1, n, n])
  const factors = leading.length === 0 ? cholesky(wide) : np.reshape(vmap(cholesky)(flat), covariance.shape)
  const z = normal(k, [...drawn, n])
  return np.add(mean, np.reshape(np.matmul(factors, np.expandDims(z, -1)), z.shape))
}
