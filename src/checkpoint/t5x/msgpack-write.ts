import { bytesOf } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { SwitchyardError } from '../../base/errors.js'
import { msgpackLimits } from './msgpack.js'

/** The values that can be written. A tensor becomes flax's array extension. */
export type Encodable =
  number | string | readonly number[] | ReadonlyMap<string, Encodable> | { readonly tensor: HostTensor }

/** Encodes a value as msgpack, within the limits of `readMsgpack`. Numbers must be integers from 0 to 2^53. */
export function encodeMsgpack(path: string, value: Encodable): Uint8Array {
  const pieces: Uint8Array[] = []
  let values = 0
  let textBytes = 0
  const text = (s: string): void => {
    const bytes = Buffer.from(s)
    textBytes += bytes.length
    if (bytes.length > msgpackLimits.textBytes)
      throw new SwitchyardError(
        `${path}: a text of ${bytes.length} bytes is too long for a checkpoint: write it to a file of its own`,
      )
    pieces.push(header(bytes.length, [0xa0, 31], [0xd9, 0xda, 0xdb]), bytes)
  }
  const encode = (v: Encodable): void => {
    values++
    if (typeof v === 'number') pieces.push(integer(v))
    else if (typeof v === 'string') text(v)
    else if (v instanceof Map) {
      pieces.push(header(v.size, [0x80, 15], [undefined, 0xde, 0xdf]))
      for (const [key, item] of v as ReadonlyMap<string, Encodable>) {
        values++
        text(key)
        encode(item)
      }
    } else if ('tensor' in v) pieces.push(...array(v.tensor))
    else pieces.push(...sizes(v as readonly number[]))
  }
  encode(value)
  if (values > msgpackLimits.values / 4 || textBytes > msgpackLimits.allTextBytes) {
    throw new SwitchyardError(
      `${path}: the names and shapes of the tensors take ${values} values and ${textBytes} bytes of text, more than a T5X checkpoint may have: write safetensors instead`,
    )
  }
  return Buffer.concat(pieces)
}

/** The type code and a length or integer: within the code if it fits there, otherwise in 1, 2 or 4 bytes after it. */
function header(
  length: number,
  [small, most]: [number, number],
  [one, two, four]: [number | undefined, number, number],
): Uint8Array {
  if (length <= most) return Buffer.from([small | length])
  if (length < 2 ** 8 && one !== undefined) return Buffer.from([one, length])
  return length < 2 ** 16 ? Buffer.from([two, length >> 8, length & 0xff]) : withUint32(four, length)
}

function withUint32(code: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(5)
  bytes[0] = code
  bytes.writeUInt32BE(value, 1)
  return bytes
}

function integer(value: number): Uint8Array {
  if (value < 2 ** 32) return header(value, [0, 0x7f], [0xcc, 0xcd, 0xce])
  const bytes = Buffer.alloc(9)
  bytes[0] = 0xcf
  bytes.writeBigUInt64BE(BigInt(value), 1)
  return bytes
}

const sizes = (values: readonly number[]): Uint8Array[] => [
  header(values.length, [0x90, 15], [undefined, 0xdc, 0xdd]),
  ...values.map(integer),
]

/** [shape, dtype's name, bytes] as extension 1. */
function array(tensor: HostTensor): Uint8Array[] {
  const data = bytesOf(tensor)
  const name = Buffer.from(tensor.dtype)
  const payload = Buffer.concat([
    Buffer.from([0x93]),
    ...sizes(tensor.shape),
    Buffer.from([0xa0 | name.length]),
    name,
    header(data.length, [0, -1], [0xc4, 0xc5, 0xc6]),
    data,
  ])
  return [header(payload.length, [0, -1], [0xc7, 0xc8, 0xc9]), Buffer.from([1]), payload]
}
