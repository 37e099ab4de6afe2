/** A length or an integer constant that may differ among examples of a function at several sizes: its value in each. */
export type Values = readonly number[]

/** How a number depends on sizes: a multiple of one or of a product of two, or a size plus a constant. */
export type Formula<S> =
  | { readonly kind: 'multiple'; readonly size: S; readonly factor: number }
  | { readonly kind: 'product'; readonly sizes: readonly [S, S]; readonly factor: number }
  | { readonly kind: 'sum'; readonly size: S; readonly rest: number }

export const allEqual = (values: Values): boolean => values.every(v => v === values[0])
export const same = (a: Values, b: Values): boolean => a.every((v, i) => v === b[i])

/**
 * The formulas of the simplest kind that give these values in the examples: all of that kind. Empty if none fits.
 * Several formulas differ at other sizes, unless the sizes depend on each other.
 */
export function formulasOf<S extends { readonly values: Values }>(values: Values, sizes: readonly S[]): Formula<S>[] {
  for (const kind of [multiples, products, sums]) {
    const found = kind(values, sizes)
    if (found.length > 0) return found
  }
  return []
}

/** The value of a formula, for sizes of these values. */
export function evaluate<S>(formula: Formula<S>, valueOf: (size: S) => number): number {
  switch (formula.kind) {
    case 'multiple':
      return formula.factor * valueOf(formula.size)
    case 'product':
      return formula.factor * valueOf(formula.sizes[0]) * valueOf(formula.sizes[1])
    case 'sum':
      return valueOf(formula.size) + formula.rest
  }
}

function multiples<S extends { readonly values: Values }>(values: Values, sizes: readonly S[]): Formula<S>[] {
  return sizes.flatMap(size => {
    const factor = wholeFactor(values, size.values)
    return factor === null ? [] : { kind: 'multiple', size, factor }
  })
}

function products<S extends { readonly values: Values }>(values: Values, sizes: readonly S[]): Formula<S>[] {
  return sizes.flatMap((s, i) =>
    sizes.slice(i).flatMap((t): Formula<S>[] => {
      const factor = wholeFactor(
        values,
        s.values.map((v, n) => v * t.values[n]),
      )
      return factor === null ? [] : [{ kind: 'product', sizes: [s, t], factor }]
    }),
  )
}

function sums<S extends { readonly values: Values }>(values: Values, sizes: readonly S[]): Formula<S>[] {
  return sizes.flatMap(size => {
    const rest = values[0] - size.values[0]
    const fits = same(
      values,
      size.values.map(v => v + rest),
    )
    return fits ? { kind: 'sum', size, rest } : []
  })
}

/** The whole number by which each of `units` is multiplied to give `values`, or null. */
function wholeFactor(values: Values, units: Values): number | null {
  const factor = values[0] / units[0]
  const fits =
    Number.isInteger(factor) &&
    same(
      values,
      units.map(v => factor * v),
    )
  return fits ? factor : null
}
