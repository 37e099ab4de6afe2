/**
 * Next-fit packing: there is one open row, and an example that does not fit into it in every feature closes it. Returns
 * the indices of each row's examples; the last row may be nearly empty. `sizes` holds an example's tokens of each
 * feature, `capacities` a row's.
 */
export function nextFit(sizes: readonly (readonly number[])[], capacities: readonly number[]): number[][] {
  const rows: number[][] = []
  let used = capacities
  sizes.forEach((size, example) => {
    const fits = rows.length > 0 && size.every((n, f) => used[f] + n <= capacities[f])
    if (fits) rows[rows.length - 1].push(example)
    else rows.push([example])
    used = fits ? size.map((n, f) => used[f] + n) : size
  })
  return rows
}
