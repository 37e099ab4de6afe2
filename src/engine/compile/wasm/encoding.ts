/** The binary format of a WebAssembly module with one function over one imported memory. */

export const I32 = 0x7f
export const F32 = 0x7d
export const V128 = 0x7b

/** A module whose only function is exported as `loop`; it returns nothing. `locals` are the types after the parameters. */
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

const END = 0x0b
const text = (s: string): number[] => [s.length, ...Array.from(s, c => c.charCodeAt(0))]
const section = (id: number, bytes: readonly number[]): number[] => [id, ...leb(bytes.length), ...bytes]

export const get = (local: number): number[] => [0x20, ...leb(local)]
export const set = (local: number): number[] => [0x21, ...leb(local)]
export const i32Const = (value: number): number[] => [0x41, ...sleb(value)]
export const i32Add = [0x6a]
export const simd = (opcode: number): number[] => [0xfd, ...leb(opcode)]

/** `do { body; index += step } while (index < end)`, for locals `index` and `end`, unsigned. */
export const repeat = (index: number, step: number, end: number, body: readonly number[]): number[] => [
  ...[0x03, 0x40],
  ...body,
  ...[...get(index), ...i32Const(step), ...i32Add, 0x22, ...leb(index)],
  ...[...get(end), 0x49, 0x0d, 0],
  END,
]

/** `if (top of stack) body` */
export const when = (body: readonly number[]): number[] => [0x04, 0x40, ...body, END]

/** LEB128, unsigned and signed. */
export function leb(n: number): number[] {
  return n < 0x80 ? [n] : [(n & 0x7f) | 0x80, ...leb(n >>> 7)]
}
function sleb(n: number): number[] {
  return n >= -64 && n < 64 ? [n & 0x7f] : [(n & 0x7f) | 0x80, ...sleb(n >> 7)]
}
