import { ConfigError } from '../../base/errors.js'

/**
 * The role of an axis in Adafactor's factored second moment: the rows or the columns of a matrix, a batch of
 * independent parameters (experts, stacked layers), or none of these.
 */
type AxisRole = 'row' | 'column' | 'batch' | 'none'

/** T5X's standard rules for the logical axes of its models (t5x/adafactor.py, `standard_logical_factor_rules`). */
const roles: Readonly<Record<string, AxisRole>> = {
  vocab: 'column',
  embed: 'row',
  mlp: 'column',
  heads: 'column',
  kv: 'column',
  joined_kv: 'column',
  relpos_buckets: 'none',
  layers: 'batch',
  stack: 'batch',
  expert: 'batch',
  expert_mlp: 'column',
  unmodeled: 'none',
  mlp_embed: 'row',
}

/** The part of a parameter's declaration that factoring depends on. */
export interface ParameterAxes {
  readonly path: string
  readonly shape: readonly number[]
  /** A logical name for each axis, as T5X's `param_axes`. */
  readonly axes: readonly string[]
}

/** How Adafactor treats one parameter. */
export interface Factoring {
  /** The axes over which the parameter's scale and its update's size are averaged: all but the batch axes. */
  readonly averaged: readonly number[]
  /**
   * Row and column axes of the factored second moment. null: it is not factored, and has one value for each element.
   */
  readonly factors: { readonly rows: readonly number[]; readonly columns: readonly number[] } | null
}

/** T5X's default of `min_dim_size_to_factor`. */
export const MIN_SIZE_TO_FACTOR = 128

/**
 * Decides a parameter's factoring from its shape and logical axis names, as T5X does. Matrices without batch axes are
 * factored only if both sides have `minSize` or more. Throws a ConfigError on an unknown name.
 */
export function factoringOf({ path, shape, axes }: ParameterAxes, minSize: number = MIN_SIZE_TO_FACTOR): Factoring {
  const named = axes.map(axis => {
    if (roles[axis] === undefined)
      throw new ConfigError(
        `${path}: Adafactor does not know the axis "${axis}"; known: ${Object.keys(roles).join(', ')}`,
      )
    return roles[axis]
  })
  const all = shape.map((_, axis) => axis)
  const having = (role: AxisRole): number[] => all.filter(axis => named[axis] === role)
  const averaged = all.filter(axis => named[axis] !== 'batch')

  if (shape.length <= 2 && averaged.length === shape.length) {
    // Rows and columns are chosen by size, as in T5X: the names do not matter without batch axes.
    const [rows, columns] = all.toSorted((a, b) => shape[a] - shape[b])
    const large = shape.length === 2 && shape[rows] >= minSize
    return { averaged, factors: large ? { rows: [rows], columns: [columns] } : null }
  }
  const [rows, columns] = [having('row'), having('column')]
  return { averaged, factors: rows.length > 0 && columns.length > 0 ? { rows, columns } : null }
}
