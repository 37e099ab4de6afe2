/** The same function of an index, which keeps its latest result: neighbouring outputs often need the same example. */
export function rememberLast<T>(get: (index: number) => T): (index: number) => T {
  let last: { index: number; result: T } | undefined
  return index => {
    if (last?.index !== index) last = { index, result: get(index) }
    return last.result
  }
}
