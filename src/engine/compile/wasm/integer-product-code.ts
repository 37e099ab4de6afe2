import { advance, encodeModule, get, I32, i32Add, i32Const, leb, repeat, set, simd, V128 } from './encoding.js'
import { i32x4, i8x16, v128 } from './instructions.js'

/** How many inputs are multiplied between a load and a store of the sums. */
export const BLOCK_INPUTS = 16

/** The number of outputs must be a multiple of this. */
export const BLOCK_OUTPUTS = 16

/**
 * A WebAssembly module with one function, `loop(sums, kernel, x, endOfX)`: adds to `sums` int32 [rows, outputs] the
 * product of x [rows, inputs] and `kernel` int8 [inputs, outputs]. All parameters are addresses. x is int16, in blocks
 * of inputs: [inputs / BLOCK_INPUTS, rows, BLOCK_INPUTS].
 *
 * Pairs of neighbouring inputs are multiplied and added by one instruction (dot), which is exact. The kernel is read
 * once, in its order. The number of outputs is a part of the code, so that the rows of a block lie at constant
 * distances from one pointer: as many pointers would not fit into the processor's registers.
 */
export function integerProductCode(rows: number, outputs: number): Uint8Array<ArrayBuffer> {
  const [sums, kernel, x, endOfX] = [0, 1, 2, 3]
  const locals: number[] = []
  const local = (type: number): number => 4 + locals.push(type) - 1
  const list = <T>(length: number, of: (i: number) => T): T[] => Array.from({ length }, (_, i) => of(i))
  // With one row, the registers hold the sums of 16 outputs, with more rows those of 8.
  const columns = rows === 1 ? 16 : 8
  const [kernelAt, sumAt, endOfRow] = list(3, () => local(I32))
  /** For each row, each pair of its inputs in all lanes. */
  const pairs = list(rows, () => list(BLOCK_INPUTS / 2, () => local(V128)))
  const totals = list(rows, () => list(columns / 4, () => local(V128)))
  const [even, odd, low, high] = list(4, () => local(V128))

  const eachSum = (of: (total: number, offset: number) => number[]): number[] =>
    totals.flatMap((ofRow, m) => ofRow.flatMap((total, i) => of(total, 4 * outputs * m + 16 * i)))
  /** Loads 8 columns of two inputs, interleaves them, and adds their products to the totals. */
  const product = (pair: number, eight: number): number[] => [
    ...[even, odd].flatMap((v, i) => [
      ...get(kernelAt),
      ...simd(v128.load8x8S),
      3,
      ...leb(outputs * (2 * pair + i) + 8 * eight),
      ...set(v),
    ]),
    ...[low, high].flatMap((v, i) => [
      ...get(even),
      ...get(odd),
      ...simd(i8x16.shuffle),
      ...interleaved(8 * i),
      ...set(v),
    ]),
    ...totals.flatMap((ofRow, m) =>
      [low, high].flatMap((v, i) => {
        const total = ofRow[2 * eight + i]
        return [
          ...get(total),
          ...get(v),
          ...get(pairs[m][pair]),
          ...simd(i32x4.dotI16x8S),
          ...simd(i32x4.add),
          ...set(total),
        ]
      }),
    ),
  ]
  const someColumns = [
    ...eachSum((total, offset) => [...get(sumAt), ...simd(v128.load), 4, ...leb(offset), ...set(total)]),
    ...list(columns / 8, eight => list(BLOCK_INPUTS / 2, pair => product(pair, eight)).flat()).flat(),
    ...eachSum((total, offset) => [...get(sumAt), ...get(total), ...simd(v128.store), 4, ...leb(offset)]),
    ...advance(sumAt, 4 * columns),
  ]
  const someInputs = [
    ...get(kernel),
    ...set(kernelAt),
    ...get(sums),
    ...set(sumAt),
    ...get(kernel),
    ...i32Const(outputs),
    ...i32Add,
    ...set(endOfRow),
    ...pairs.flatMap((ofRow, m) =>
      ofRow.flatMap((v, i) => [
        ...get(x),
        ...simd(v128.load32Splat),
        2,
        ...leb(2 * (BLOCK_INPUTS * m + 2 * i)),
        ...set(v),
      ]),
    ),
    ...repeat(kernelAt, columns, endOfRow, someColumns),
    ...advance(kernel, BLOCK_INPUTS * outputs),
  ]
  return encodeModule(Array<number>(4).fill(I32), locals, repeat(x, 2 * BLOCK_INPUTS * rows, endOfX, someInputs))
}

/** The 16-bit lanes of two vectors in turns, from byte `from` on. */
const interleaved = (from: number): number[] =>
  [0, 2, 4, 6].flatMap(i => [from + i, from + i + 1, 16 + from + i, 17 + from + i])
