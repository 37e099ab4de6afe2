import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import type { DType } from '../../src/base/dtypes.js'
import { bytesOf, sizeOf, stridesOf } from '../../src/base/host-tensor.js'
import type { HostTensor } from '../../src/base/host-tensor.js'

// Makes files as torch.save does, and wrong ones, for tests: Switchyard itself only reads them.

/** An entry of a zip archive. One without `data` is `bytes` zeros, which take no room on the disk. */
export interface Entry {
  name: string
  data?: Uint8Array
  bytes?: number
}

/** A tensor of a pickle: a view of the storage `data/<key>`. */
export interface View {
  name: string
  storage: string
  key: string
  length: number
  offset: number
  shape: readonly number[]
  strides: readonly number[]
}

export const storageNames: { readonly [D in DType]?: string } = {
  float32: 'FloatStorage',
  float16: 'HalfStorage',
  bfloat16: 'BFloat16Storage',
  int64: 'LongStorage',
  int32: 'IntStorage',
  int8: 'CharStorage',
  uint8: 'ByteStorage',
  bool: 'BoolStorage',
}

/** Writes a file that holds these tensors, each in a storage of its own. */
export async function writeTorchFile(path: string, tensors: readonly (readonly [string, HostTensor])[]): Promise<void> {
  const views = tensors.map(([name, { dtype, shape }], i): View => ({
    name,
    storage: storageNames[dtype]!,
    key: String(i),
    length: sizeOf(shape),
    offset: 0,
    shape,
    strides: stridesOf(shape),
  }))
  await writeZip(
    path,
    torchEntries(
      stateDict(views),
      tensors.map(([, tensor], i) => ({ name: String(i), data: bytesOf(tensor) })),
    ),
  )
}

/** The entries of a torch file, given its pickle and its storages by key. */
export function torchEntries(pickle: Uint8Array, storages: readonly Entry[], byteOrder = 'little'): Entry[] {
  return [
    { name: 'archive/data.pkl', data: pickle },
    { name: 'archive/byteorder', data: Buffer.from(byteOrder) },
    ...storages.map(s => ({ ...s, name: `archive/data/${s.name}` })),
    { name: 'archive/version', data: Buffer.from('3\n') },
  ]
}

/** Writes an archive of stored entries at 64-byte marks. Numbers past 32 bits, or all of them if asked, are zip64. */
export async function writeZip(path: string, entries: readonly Entry[], zip64 = false): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const handle = await open(path, 'w')
  try {
    let at = 0
    const write = async (data: Uint8Array): Promise<void> => {
      await handle.write(data, 0, data.length, at)
      at += data.length
    }
    const directory: Buffer[] = []
    for (const { name, data, bytes = data!.length } of entries) {
      const sum = data ? crc32(data) : 0
      const padding = (64 - ((at + 30 + Buffer.byteLength(name) + 4) % 64)) % 64
      directory.push(zipHeader(name, bytes, sum, Buffer.alloc(0), at, zip64))
      await write(zipHeader(name, bytes, sum, Buffer.concat([u16(0x4246), u16(padding), Buffer.alloc(padding)])))
      if (data) await write(data)
      else at += bytes
    }
    const begin = at
    const size = directory.reduce((n, d) => n + d.length, 0)
    await write(Buffer.concat(directory))
    if (zip64 || at > 0xffffffff) {
      const end = at
      await write(
        Buffer.concat([
          u32(0x06064b50),
          u64(44),
          u16(45),
          u16(45),
          u32(0),
          u32(0),
          u64(entries.length),
          u64(entries.length),
          u64(size),
          u64(begin),
        ]),
      )
      await write(Buffer.concat([u32(0x07064b50), u32(0), u64(end), u32(1)]))
    }
    await write(
      Buffer.concat([
        u32(0x06054b50),
        u16(0),
        u16(0),
        u16(entries.length),
        u16(entries.length),
        u32(zip64 ? Infinity : size),
        u32(zip64 ? Infinity : begin),
        u16(0),
      ]),
    )
  } finally {
    await handle.close()
  }
}

/** A local header, or with an offset the directory's record. */
function zipHeader(name: string, bytes: number, sum: number, extra: Buffer, offset?: number, zip64 = false): Buffer {
  const nameBytes = Buffer.from(name)
  const central = offset !== undefined
  const big = central ? [bytes, bytes, offset].map(n => zip64 || n >= 0xffffffff) : []
  const fields = central ? [bytes, bytes, offset].filter((_, i) => big[i]).map(u64) : []
  const all = fields.length > 0 ? Buffer.concat([u16(1), u16(8 * fields.length), ...fields]) : extra
  const size = u32(big[0] ? Infinity : bytes)
  return Buffer.concat([
    u32(central ? 0x02014b50 : 0x04034b50),
    ...(central ? [u16(45)] : []),
    u16(45),
    u16(0x0800),
    u16(0),
    u32(0),
    u32(sum),
    size,
    size,
    u16(nameBytes.length),
    u16(all.length),
    ...(central ? [u16(0), u16(0), u16(0), u32(0), u32(big[2] ? Infinity : offset)] : []),
    nameBytes,
    all,
  ])
}

const u16 = (n: number): Buffer => Buffer.from([n & 0xff, n >> 8])
const u32 = (n: number): Buffer => {
  const b = Buffer.alloc(4)
  b.writeUInt32LE(Math.min(n, 0xffffffff))
  return b
}
const u64 = (n: number): Buffer => {
  const b = Buffer.alloc(8)
  b.writeBigUInt64LE(BigInt(n))
  return b
}

/** Opcodes of pickle protocol 2. */
export const p = {
  begin: Buffer.from([0x80, 2]),
  end: Buffer.from('.'),
  mark: Buffer.from('('),
  tuple: Buffer.from('t'),
  dict: Buffer.from('}'),
  list: Buffer.from(']'),
  none: Buffer.from('N'),
  setItem: Buffer.from('s'),
  setItems: Buffer.from('u'),
  append: Buffer.from('a'),
  reduce: Buffer.from('R'),
  build: Buffer.from('b'),
  reference: Buffer.from('Q'),
  false: Buffer.from([0x89]),
  put: (i: number): Buffer => Buffer.concat([Buffer.from('r'), u32(i)]),
  get: (i: number): Buffer => Buffer.concat([Buffer.from('j'), u32(i)]),
  global: (module: string, name: string): Buffer => Buffer.from(`c${module}\n${name}\n`),
  text: (s: string): Buffer => {
    const b = Buffer.from(s)
    return Buffer.concat([Buffer.from('X'), u32(b.length), b])
  },
  /** BININT, or LONG1 past 32 bits. */
  int: (n: number): Buffer => {
    const b = Buffer.alloc(n === (n | 0) ? 5 : 10)
    if (b.length === 5) {
      b[0] = 0x4a
      b.writeInt32LE(n, 1)
    } else {
      b[0] = 0x8a
      b[1] = 8
      b.writeBigInt64LE(BigInt(n), 2)
    }
    return b
  },
  group: (...items: readonly Uint8Array[]): Buffer => Buffer.concat([p.mark, ...items, p.tuple]),
  ints: (values: readonly number[]): Buffer => p.group(...values.map(p.int)),
  call: (callee: Uint8Array, ...args: readonly Uint8Array[]): Buffer =>
    Buffer.concat([callee, p.group(...args), p.reduce]),
  orderedDict: (): Buffer => p.call(p.global('collections', 'OrderedDict')),
  program: (...parts: readonly Uint8Array[]): Buffer => Buffer.concat([p.begin, ...parts, p.end]),
}

/** A tensor as torch pickles it. */
export const tensorPickle = ({ storage, key, length, offset, shape, strides }: View, ...more: Uint8Array[]): Buffer =>
  p.call(
    p.global('torch._utils', '_rebuild_tensor_v2'),
    Buffer.concat([
      p.group(p.text('storage'), p.global('torch', storage), p.text(key), p.text('cpu'), p.int(length)),
      p.reference,
    ]),
    p.int(offset),
    p.ints(shape),
    p.ints(strides),
    p.false,
    p.orderedDict(),
    ...more,
  )

/** The pickle of an OrderedDict of tensors with the `_metadata` that modules leave. */
export const stateDict = (views: readonly View[]): Buffer =>
  p.program(
    p.orderedDict(),
    p.mark,
    ...views.flatMap(v => [p.text(v.name), tensorPickle(v)]),
    p.setItems,
    p.dict,
    p.text('_metadata'),
    p.orderedDict(),
    p.text(''),
    p.dict,
    p.text('version'),
    p.int(1),
    p.setItem,
    p.setItem,
    p.setItem,
    p.build,
  )
