/** An address in native memory. */
export type Pointer = bigint

/** A value for a pointer: an address, or JavaScript memory. What it refers to must live until the call returns. */
export type PointerLike = Pointer | ArrayBufferView | null

export type FieldKind = 'pointer' | 'size' | 'int64' | 'int32' | 'float' | 'bool'
/** Where the fields of a struct lie. */
export interface Layout {
  readonly size: number
  readonly fields: { readonly [name: string]: readonly [offset: number, kind: FieldKind] }
}
type In<K extends FieldKind> = K extends 'pointer' ? PointerLike : K extends 'bool' ? boolean : number
type Out<K extends FieldKind> = K extends 'pointer' ? Pointer : K extends 'bool' ? boolean : number

/** Values for some fields of a struct. All other fields are 0. */
export type Values<L extends Layout> = { readonly [F in keyof L['fields']]?: In<L['fields'][F][1]> }
/** Reads a field of a struct. */
export type Reader<L extends Layout> = <F extends keyof L['fields']>(field: F) => Out<L['fields'][F][1]>

/** Writes a struct: its size, and the values of some fields. `addressOf`: where JavaScript memory lies. */
export function writeStruct<L extends Layout>(
  memory: DataView,
  layout: L,
  values: Values<L>,
  addressOf: (memory: ArrayBufferView) => Pointer,
): void {
  memory.setBigUint64(0, BigInt(layout.size), true)
  for (const field in values) {
    const value = values[field as keyof Values<L>] as PointerLike | number | boolean
    const [offset, kind] = layout.fields[field]
    if (kind === 'pointer') {
      const pointer = value as PointerLike
      const address = pointer === null ? 0n : typeof pointer === 'bigint' ? pointer : addressOf(pointer)
      memory.setBigUint64(offset, address, true)
    } else if (kind === 'size' || kind === 'int64') memory.setBigInt64(offset, BigInt(value as number), true)
    else if (kind === 'int32') memory.setInt32(offset, value as number, true)
    else if (kind === 'float') memory.setFloat32(offset, value as number, true)
    else memory.setUint8(offset, value ? 1 : 0)
  }
}

/** Reads the fields of a struct. */
export const readerOf = <L extends Layout>(memory: DataView, layout: L): Reader<L> =>
  (field => {
    const [offset, kind] = layout.fields[field as string]
    return readers[kind](memory, offset)
  }) as Reader<L>

const readers: { readonly [K in FieldKind]: (memory: DataView, offset: number) => Pointer | number | boolean } = {
  pointer: (memory, offset) => memory.getBigUint64(offset, true),
  size: (memory, offset) => Number(memory.getBigUint64(offset, true)),
  int64: (memory, offset) => Number(memory.getBigInt64(offset, true)),
  int32: (memory, offset) => memory.getInt32(offset, true),
  float: (memory, offset) => memory.getFloat32(offset, true),
  bool: (memory, offset) => memory.getUint8(offset) !== 0,
}
