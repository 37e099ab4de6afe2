/** The binary format of a WebAssembly module with one function over one imported memory. */

export const I32 = 0x7f
export const F32 = 0x7d
export const V128 = 0x7b

const [LOOP, IF, END, BRANCH_IF, NO_RESULT] = [0x03, 0x04, 0x0b, 0x0d, 0x40]
const [GET, SET, TEE] = [0x20, 0x21, 0x22]
const LESS_UNSIGNED = 0x49

/**
 * A module whose only function is exported as `loop`; it returns nothing. `locals` are the types after the parameters.
 */
export function encodeModule(
  params: readonly number[],
  locals: readonly number[],
  code: readonly number[],
): Uint8Array<ArrayBuffer> {
  const func = [...leb(locals.length), ...locals.flatMap(t => [1, t]), ...code, END]
  const magic = [0x00, 0x61, 0x73, 0x6d]
  const version = [1, 0, 0, 0]
  return new Uint8Array([
    ...magic,
    ...version,
    ...section(1, [1, 0x60, ...leb(params.length), ...params, 0]),
    ...section(2, [1, ...text('env'), ...text('memory'), 0x02, 0x00, 0]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...text('loop'), 0x00, 0]),
    ...section(10, [1, ...leb(func.length), ...func]),
  ])
}

const text = (s: string): number[] => [s.length, ...Array.from(s, c => c.charCodeAt(0))]
const section = (id: number, bytes: readonly number[]): number[] => [id, ...leb(bytes.length), ...bytes]

export const get = (local: number): number[] => [GET, ...leb(local)]
export const set = (local: number): number[] => [SET, ...leb(local)]
export const i32Const = (value: number): number[] => [0x41, ...sleb(value)]
export const i32Add = [0x6a]
export const i32Multiply = [0x6c]
export const shiftLeft = [0x74]
export const simd = (opcode: number): number[] => [0xfd, ...leb(opcode)]

/** `local += by` */
export const advance = (local: number, by: number): number[] => [
  ...get(local),
  ...i32Const(by),
  ...i32Add,
  ...set(local),
]

/** `do { body; index += step } while (index < end)`, for locals `index` and `end`, unsigned. */
export function repeat(index: number, step: number, end: number, body: readonly number[]): number[] {
  const next = [...get(index), ...i32Const(step), ...i32Add, TEE, ...leb(index)]
  return [LOOP, NO_RESULT, ...body, ...next, ...get(end), LESS_UNSIGNED, BRANCH_IF, 0, END]
}

/** `if (top of stack) body` */
export const when = (body: readonly number[]): number[] => [IF, NO_RESULT, ...body, END]

/** LEB128, unsigned and signed. */
export function leb(n: number): number[] {
  return n < 0x80 ? [n] : [(n & 0x7f) | 0x80, ...leb(n >>> 7)]
}
function sleb(n: number): number[] {
  return n >= -64 && n < 64 ? [n & 0x7f] : [(n & 0x7f) | 0x80, ...sleb(n >> 7)]
}
