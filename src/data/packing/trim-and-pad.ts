/** Token ids cut or padded with 0 on the right to `length`. */
export function trimAndPad(tokens: Int32Array, length: number): Int32Array {
  const row = new Int32Array(length)
  row.set(tokens.subarray(0, length))
  return row
}
