import {
  encodeModule,
  get,
  I32,
  i32Add,
  i32Const,
  i32Multiply,
  repeat,
  set,
  shiftLeft,
  simd,
  V128,
} from './encoding.js'
import { i32x4, i8x16, v128 } from './instructions.js'

/** How many inputs are multiplied between a load and a store of the sums. */
export const BLOCK_INPUTS = 16

/** The number of outputs must be a multiple of this. */
export const BLOCK_OUTPUTS = 16

/**
 * A WebAssembly module with one function, `loop(sums, kernel, outputs, x, endOfX)`: adds to `sums` int32 [rows,
 * outputs] the product of x [rows, inputs] and `kernel` int8 [inputs, outputs], where `outputs` is a number and all
 * others are addresses. x is int16, in blocks of inputs: [inputs / BLOCK_INPUTS, rows, BLOCK_INPUTS].
 *
 * Pairs of neighbouring inputs are multiplied and added by one instruction (dot), which is exact. The kernel is read
 * once, in its order.
 */
export function integerProductCode(rows: number): Uint8Array<ArrayBuffer> {
  const [sums, kernel, outputs, x, endOfX] = [0, 1, 2, 3, 4]
  const locals: number[] = []
  const local = (type: number): number => 5 + locals.push(type) - 1
  const list = <T>(length: number, of: (i: number) => T): T[] => Array.from({ length }, (_, i) => of(i))
  // With one row, the registers hold the sums of 16 outputs, with more rows those of 8.
  const columns = rows === 1 ? 16 : 8
  const column = local(I32)
  const kernelRows = list(BLOCK_INPUTS, () => local(I32))
  const sumRows = list(rows, () => local(I32))
  /** For each row, each pair of its inputs in all lanes. */
  const pairs = list(rows, () => list(BLOCK_INPUTS / 2, () => local(V128)))
  const totals = list(rows, () => list(columns / 4, () => local(V128)))
  const [even, odd, low, high] = list(4, () => local(V128))

  const atColumn = (row: number): number[] => [...get(row), ...get(column), ...i32Add]
  const atSum = (row: number): number[] => [...get(row), ...get(column), ...i32Const(2), ...shiftLeft, ...i32Add]
  const eachSum = (of: (row: number, total: number, offset: number) => number[]): number[] =>
    totals.flatMap((ofRow, m) => ofRow.flatMap((total, i) => of(sumRows[m], total, 16 * i)))
  /** Loads 8 columns of two inputs, interleaves them, and adds their products to the totals. */
  const product = (pair: number, eight: number): number[] => [
    ...[even, odd].flatMap((v, i) => [
      ...atColumn(kernelRows[2 * pair + i]),
      ...simd(v128.load8x8S),
      3,
      8 * eight,
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
    ...eachSum((row, total, offset) => [...atSum(row), ...simd(v128.load), 4, offset, ...set(total)]),
    ...list(columns / 8, eight => list(BLOCK_INPUTS / 2, pair => product(pair, eight)).flat()).flat(),
    ...eachSum((row, total, offset) => [...atSum(row), ...get(total), ...simd(v128.store), 4, offset]),
  ]
  const nextRow = (row: number): number[] => [...get(row), ...get(outputs), ...i32Add]
  const someInputs = [
    ...kernelRows.flatMap((row, i) => [...(i === 0 ? get(kernel) : nextRow(kernelRows[i - 1])), ...set(row)]),
    ...nextRow(kernelRows[BLOCK_INPUTS - 1]),
    ...set(kernel),
    ...pairs.flatMap((ofRow, m) =>
      ofRow.flatMap((v, i) => [...get(x), ...simd(v128.load32Splat), 2, 2 * (BLOCK_INPUTS * m + 2 * i), ...set(v)]),
    ),
    ...i32Const(0),
    ...set(column),
    ...repeat(column, columns, outputs, someColumns),
  ]
  const firstSums = sumRows.flatMap((row, m) => [
    ...get(sums),
    ...get(outputs),
    ...i32Const(4 * m),
    ...i32Multiply,
    ...i32Add,
    ...set(row),
  ])
  const params = [I32, I32, I32, I32, I32]
  return encodeModule(params, locals, [...firstSums, ...repeat(x, 2 * BLOCK_INPUTS * rows, endOfX, someInputs)])
}

/** The 16-bit lanes of two vectors in turns, from byte `from` on. */
const interleaved = (from: number): number[] =>
  [0, 2, 4, 6].flatMap(i => [from + i, from + i + 1, 16 + from + i, 17 + from + i])
