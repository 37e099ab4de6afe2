import {
  advance,
  encodeModule,
  get,
  I32,
  i32Add,
  i32Const,
  i32Multiply,
  leb,
  repeat,
  set,
  simd,
  V128,
} from './encoding.js'
import { f32x4, i16x8, i32x4, i8x16, v128 } from './instructions.js'

/** The number of elements in a block: 16 bytes of 4 bits. */
export const BLOCK = 32

/** The stored value that means 0 in a kernel. */
export const ZERO = 8

export const BLOCK_BYTES = BLOCK / 2

/**
 * A WebAssembly module with one function, `loop(product, kernel, scales, endOfScales, x, sums, xScales, blocks,
 * outputs)`: the product of x [rows, inputs] and a kernel of 4 bits, written to `product` float32 [rows, outputs].
 * `blocks` and `outputs` are numbers, all others are addresses: `kernel` uint8 [outputs, blocks, 16] and `scales`
 * float32 [outputs, blocks] as nn/quantized.ts defines them; x int16 [blocks, rows, 4, 8], in each block first every
 * fourth element, then those that follow each of them; `sums` int32 [blocks, rows] the sums of the blocks of x, times
 * -ZERO; xScales float32 [blocks, rows].
 *
 * A 16-bit lane of the kernel has four neighbouring elements, which are cut out by shifts and masks. A block's integers
 * are multiplied and added exactly; the sums, times both scales, are added in float32.
 */
export function blockProductCode(rows: number): Uint8Array<ArrayBuffer> {
  const [product, kernel, scales, endOfScales, x, sums, xScales, blocks, outputs] = [0, 1, 2, 3, 4, 5, 6, 7, 8]
  const locals: number[] = []
  const local = (type: number): number => 9 + locals.push(type) - 1
  const list = <T>(length: number, of: (i: number) => T): T[] => Array.from({ length }, (_, i) => of(i))
  const [xAt, sumsAt, xScalesAt, endOfRow, scaleBytes, outputBytes] = list(6, () => local(I32))
  const [packed, mask, scale] = list(3, () => local(V128))
  /** Every fourth element of a block. */
  const elements = list(4, () => local(V128))
  const totals = list(rows, () => local(V128))
  const targets = list(rows, () => local(I32))

  const cut = (element: number, i: number): number[] => [
    ...get(packed),
    ...(i === 0 ? [] : [...i32Const(4 * i), ...simd(i16x8.shrU)]),
    ...(i === 3 ? [] : [...get(mask), ...simd(v128.and)]),
    ...set(element),
  ]
  const sumOf = (row: number): number[] => [
    ...get(sumsAt),
    ...simd(v128.load32Zero),
    2,
    ...leb(4 * row),
    ...elements.flatMap((element, i) => [
      ...get(element),
      ...get(xAt),
      ...simd(v128.load),
      4,
      ...leb(2 * BLOCK * row + 16 * i),
      ...simd(i32x4.dotI16x8S),
      ...simd(i32x4.add),
    ]),
  ]
  const oneBlock = [
    ...get(kernel),
    ...simd(v128.load),
    4,
    0,
    ...set(packed),
    ...elements.flatMap(cut),
    ...get(scales),
    ...simd(v128.load32Splat),
    2,
    0,
    ...set(scale),
    ...totals.flatMap((total, row) => [
      ...get(total),
      ...sumOf(row),
      ...simd(f32x4.convertI32x4S),
      ...get(xScalesAt),
      ...simd(v128.load32Splat),
      2,
      ...leb(4 * row),
      ...get(scale),
      ...simd(f32x4.mul),
      ...simd(f32x4.mul),
      ...simd(f32x4.add),
      ...set(total),
    ]),
    ...advance(kernel, BLOCK_BYTES),
    ...advance(xAt, 2 * BLOCK * rows),
    ...[sumsAt, xScalesAt].flatMap(at => advance(at, 4 * rows)),
  ]
  /** Adds the four lanes of a total, and stores the sum. */
  const store = (total: number, target: number): number[] => [
    ...[8, 4].flatMap(by => [
      ...get(total),
      ...get(total),
      ...get(total),
      ...simd(i8x16.shuffle),
      ...list(16, i => (i + by) % 16),
      ...simd(f32x4.add),
      ...set(total),
    ]),
    ...get(target),
    ...get(total),
    ...simd(v128.store32Lane),
    2,
    0,
    0,
    ...advance(target, 4),
  ]
  const oneOutput = [
    ...get(x),
    ...set(xAt),
    ...get(sums),
    ...set(sumsAt),
    ...get(xScales),
    ...set(xScalesAt),
    ...get(scales),
    ...get(scaleBytes),
    ...i32Add,
    ...set(endOfRow),
    ...totals.flatMap(total => [...simd(v128.const), ...list(16, () => 0), ...set(total)]),
    ...repeat(scales, 4, endOfRow, oneBlock),
    ...totals.flatMap((total, row) => store(total, targets[row])),
  ]
  const times = (value: number, factor: number): number[] => [...get(value), ...i32Const(factor), ...i32Multiply]
  return encodeModule(Array<number>(9).fill(I32), locals, [
    ...times(blocks, 4),
    ...set(scaleBytes),
    ...times(outputs, 4),
    ...set(outputBytes),
    ...simd(v128.const),
    ...list(16, i => (i % 2 === 0 ? 15 : 0)),
    ...set(mask),
    ...targets.flatMap((target, row) => [
      ...(row === 0 ? get(product) : [...get(targets[row - 1]), ...get(outputBytes), ...i32Add]),
      ...set(target),
    ]),
    ...repeat(scales, 0, endOfScales, oneOutput),
  ])
}
