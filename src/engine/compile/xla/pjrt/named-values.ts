import type { PjrtLibrary } from './library.js'
import type { Pointer } from './struct.js'
import { structs } from './table.js'

/** Options of a client, and attributes of a plugin. `float` marks a whole number that is to be passed as a float. */
export type NamedValue = string | number | boolean | readonly number[] | { readonly float: number }

/** `PJRT_NamedValue_Type` */
const STRING = 0
const INT64 = 1
const INT64_LIST = 2
const FLOAT = 3
const BOOL = 4

/** sizeof(PJRT_NamedValue): in an array, they lie side by side. */
const BYTES = Math.ceil(structs.NamedValue.size / 8) * 8

const utf8 = new TextEncoder()

/** Whole numbers are passed as int64, all other numbers as float. `kept` must live as long as the values are used. */
export function encodeNamedValues(
  library: PjrtLibrary,
  values: { readonly [name: string]: NamedValue },
): { memory: Uint8Array; count: number; kept: ArrayBufferView[] } {
  const names = Object.keys(values)
  const memory = new Uint8Array(names.length * BYTES)
  const kept: ArrayBufferView[] = []
  const keep = <T extends ArrayBufferView>(view: T): T => {
    kept.push(view)
    return view
  }
  names.forEach((name, i) => {
    const value = values[name]
    const nameBytes = keep(utf8.encode(name))
    const common = { name: nameBytes, name_size: nameBytes.length, value_size: 1 }
    let struct: DataView
    if (typeof value === 'string') {
      const text = keep(utf8.encode(value))
      const rest = { type: STRING, string_value: text, value_size: text.length }
      struct = library.struct(structs.NamedValue, { ...common, ...rest })
    } else if (typeof value === 'boolean')
      struct = library.struct(structs.NamedValue, { ...common, type: BOOL, bool_value: value })
    else if (typeof value === 'number')
      struct = Number.isInteger(value)
        ? library.struct(structs.NamedValue, { ...common, type: INT64, int64_value: value })
        : library.struct(structs.NamedValue, { ...common, type: FLOAT, float_value: value })
    else if ('float' in value)
      struct = library.struct(structs.NamedValue, { ...common, type: FLOAT, float_value: value.float })
    else {
      const list = keep(BigInt64Array.from(value, BigInt))
      const rest = { type: INT64_LIST, int64_array_value: list, value_size: list.length }
      struct = library.struct(structs.NamedValue, { ...common, ...rest })
    }
    memory.set(new Uint8Array(struct.buffer), i * BYTES)
  })
  return { memory, count: names.length, kept }
}

export function decodeNamedValues(library: PjrtLibrary, address: Pointer, count: number): Map<string, NamedValue> {
  const values = new Map<string, NamedValue>()
  for (let i = 0; i < count; i++) {
    const view = new DataView(library.view(address + BigInt(i * BYTES), BYTES))
    const out = library.reader(view, structs.NamedValue)
    const type = out('type')
    const value =
      type === STRING
        ? library.text(out('string_value'), out('value_size'))
        : type === INT64
          ? out('int64_value')
          : type === INT64_LIST
            ? Array.from(new BigInt64Array(library.view(out('int64_array_value'), 8 * out('value_size'))), Number)
            : type === FLOAT
              ? out('float_value')
              : out('bool_value')
    values.set(library.text(out('name'), out('name_size')), value)
  }
  return values
}
