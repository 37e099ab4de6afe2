import { check } from '../../base/errors.js'
import { leavesWithPaths, treeFromPaths } from '../../base/pytree.js'
import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'
import type { TensorTree } from '../../engine/api/tracing.js'
import { factoringOf } from './factoring.js'
import type { Factoring, ParameterAxes } from './factoring.js'
import type { Optimizer } from './optimizer.js'

export interface AdafactorOptions {
  /** The second moment decays by 1 - t^-decayRate in update t, counted from 1. */
  decayRate?: number
  /**
   * The update from which t is counted. Updates up to this number have t = 1 and decay 0: the second moment is the
   * current gradient's square. T5X sets it to the number of pretraining steps when it fine-tunes, because its step
   * count continues.
   */
  stepOffset?: number
  /** An update whose root mean square is larger is scaled down to it, before the learning rate applies. */
  clippingThreshold?: number
  /**
   * Matrices with a shorter side are not factored. T5X's `min_dim_size_to_factor`, 128; 1 factors every matrix, as
   * Hugging Face transformers' Adafactor. Experts are always factored.
   */
  minSizeToFactor?: number
  /** Added to squared gradients. */
  epsilon1?: number
  /** The learning rate is multiplied by a parameter's root mean square, or by this if it is larger. */
  epsilon2?: number
}

/**
 * Adafactor as T5X has it (Shazeer and Stern 2018, without momentum): the learning rate is relative to each parameter's
 * root mean square, updates are clipped, and the second moment of a matrix is kept as its row and column means.
 * factoring.ts decides from the declared axes which parameters are factored as matrices. Each expert is treated as a
 * separate parameter.
 *
 * State, for each parameter: `{ v_row, v_col }` if it is factored, otherwise `{ v }`.
 */
export function adafactor(specs: readonly ParameterAxes[], options: AdafactorOptions = {}): Optimizer {
  const { decayRate = 0.8, stepOffset = 0, clippingThreshold = 1, epsilon1 = 1e-30, epsilon2 = 1e-3 } = options
  const factorings = new Map(specs.map(spec => [spec.path, factoringOf(spec, options.minSizeToFactor)]))
  const factoring = (path: string): Factoring => {
    const known = factorings.get(path)
    check(known !== undefined, () => `Adafactor was made without the parameter ${path}: add its declaration to specs`)
    return known
  }

  /** The new second moment, and its inverse square root, which the gradient is multiplied by. */
  function secondMoment(
    old: Moments,
    squares: Tensor,
    decay: Tensor,
    { factors }: Factoring,
  ): { moments: Moments; scale: Tensor } {
    const average = (name: string, now: Tensor): Tensor =>
      np.add(np.multiply(old[name], decay), np.multiply(now, np.subtract(1, decay)))
    if (factors === null) {
      const v = average('v', squares)
      return { moments: { v }, scale: np.rsqrt(v) }
    }
    const { rows, columns } = factors
    const row = average('v_row', np.mean(squares, { axis: columns }))
    const column = average('v_col', np.mean(squares, { axis: rows }))
    const rowsLeft = rows.map(axis => axis - columns.filter(c => c < axis).length)
    const rowScale = np.rsqrt(np.divide(row, np.mean(row, { axis: rowsLeft, keepdims: true })))
    const keep = (x: Tensor, dropped: readonly number[]): Tensor =>
      np.reshape(
        x,
        squares.shape.map((size, axis) => (dropped.includes(axis) ? 1 : size)),
      )
    return {
      moments: { v_row: row, v_col: column },
      scale: np.multiply(keep(rowScale, columns), keep(np.rsqrt(column), rows)),
    }
  }

  return {
    name: 'adafactor',

    init(params) {
      return treeFromPaths<Tensor>(
        leavesWithPaths<Tensor>(params).flatMap(([path, { shape }]): [string, Tensor][] => {
          const { factors } = factoring(path)
          const without = (axes: readonly number[]): number[] => shape.filter((_, axis) => !axes.includes(axis))
          return factors === null
            ? [[`${path}/v`, np.zeros(shape)]]
            : [
                [`${path}/v_row`, np.zeros(without(factors.columns))],
                [`${path}/v_col`, np.zeros(without(factors.rows))],
              ]
        }),
      )
    },

    update(gradients, state, params, { learningRate, step }) {
      const t = np.maximum(np.add(step, 1 - stepOffset), 1) // []
      const decay = np.subtract(1, np.power(t, -decayRate)) // []
      const gradientAt = new Map(leavesWithPaths<Tensor>(gradients))
      const momentAt = new Map(leavesWithPaths<Tensor>(state))
      const newParams: [string, Tensor][] = []
      const newState: [string, Tensor][] = []
      for (const [path, p] of leavesWithPaths<Tensor>(params)) {
        const g = gradientAt.get(path)
        check(g !== undefined, () => `the gradients have no leaf ${path}, which is a parameter`)
        const how = factoring(path)
        const rms = (x: Tensor): Tensor => np.sqrt(np.mean(np.square(x), { axis: how.averaged, keepdims: true }))
        const old = Object.fromEntries(momentNames(how).map(name => [name, momentAt.get(`${path}/${name}`)!]))
        const { moments, scale } = secondMoment(old, np.add(np.square(g), epsilon1), decay, how)
        const direction = np.multiply(g, scale)
        const excess = np.maximum(np.divide(rms(direction), clippingThreshold), 1)
        const rate = np.multiply(learningRate, np.maximum(rms(p), epsilon2))
        newParams.push([path, np.subtract(p, np.multiply(direction, np.divide(rate, excess)))])
        for (const name of momentNames(how)) newState.push([`${path}/${name}`, moments[name]])
      }
      return {
        params: treeFromPaths(newParams) as typeof params,
        state: treeFromPaths(newState) as TensorTree as typeof state,
      }
    },
  }
}

type Moments = Readonly<Record<string, Tensor>>

const momentNames = ({ factors }: Factoring): string[] => (factors ? ['v_row', 'v_col'] : ['v'])
