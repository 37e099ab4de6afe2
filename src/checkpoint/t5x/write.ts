import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { allocate, dtypes } from '../../base/dtypes.js'
import { FileError, SwitchyardError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { bytesOf, sizeOf, stridesOf, tensorFromBytes } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { writeFolderAtomically } from '../atomic.js'
import { isFile, isPlainName, namesIn, withPath } from '../files.js'
import { byteLength, checkAgainstInfo, isBoolData, nameProblem, quote } from '../format.js'
import type { TensorInfo, TensorSource, WriteOptions } from '../format.js'
import { msgpackLimits } from './msgpack.js'
import { encodeMsgpack } from './msgpack-write.js'
import type { Encodable } from './msgpack-write.js'
import { chooseChunks, zarrayText } from './zarr-metadata.js'
import { chunkName, gridOf } from './zarr.js'

/** As T5X's: chunks of about so many bytes, packed lightly. */
const chunkBytes = 64 * 2 ** 20
const gzipLevel = 1

const pack = promisify<Uint8Array, { level: number }, Buffer>(gzip)

export interface T5xWriteOptions extends WriteOptions {
  /** The bytes of a chunk, before it is packed: 64 MiB unless told. */
  chunkBytes?: number
}

/** What T5X does not partition and keeps in the msgpack file: scalars, place holders, and the factored statistics of scanned kernels. */
const isUnpartitioned = ({ name, shape }: TensorInfo): boolean =>
  sizeOf(shape) <= 1 || (shape.length === 2 && /^state\/param_states\/(\w+)\/\1\/.*\/v_(row|col)$/.test(name))

/** One tensor to be. */
interface Place extends TensorInfo {
  /** undefined for one in the msgpack file. */
  readonly folder: string | undefined
  readonly chunks: readonly number[]
}

/**
 * Writes `checkpoint_<step>` as T5X does: a msgpack file `checkpoint`, and one zarr folder a tensor. Tensors are named by their
 * paths in the state: T5X itself looks for the parameters under `target/` and for `state/step`.
 */
export async function writeT5x(path: string, source: TensorSource, options: T5xWriteOptions = {}): Promise<void> {
  const { metadata = {}, replace = false } = options
  const places = layOut(path, source.infos, options.chunkBytes ?? chunkBytes)
  const inline = new Map<string, HostTensor>()
  for (const { name, dtype, shape, folder } of places.values())
    if (folder === undefined) inline.set(name, { dtype, shape, data: allocate(dtype, sizeOf(shape)) })
  encodeCheckpoint(path, places, inline, metadata) // for its errors: all else is the longer work
  if (replace) await refuseForeignFolder(path)

  await writeFolderAtomically(
    path,
    async temp => {
      const missing = new Set(places.keys())
      for await (const [name, tensor] of source.entries) {
        const place = places.get(name)
        if (place === undefined || !missing.delete(name))
          throw new SwitchyardError(
            `${path}: tensor ${quote(name)} came ${place === undefined ? 'without having been announced' : 'twice'}`,
          )
        checkTensor(path, place, tensor)
        if (place.folder === undefined)
          inline.set(name, tensorFromBytes(tensor.dtype, tensor.shape, bytesOf(tensor).slice()))
        else await writeZarr(join(temp, place.folder), place, bytesOf(tensor))
      }
      if (missing.size > 0)
        throw new SwitchyardError(
          `${path}: ${formatCount(missing.size)} announced tensors never came: ${[...missing].slice(0, 5).map(quote).join(', ')}`,
        )
      const file = join(temp, 'checkpoint')
      await withPath(file, () => writeFile(file, encodeCheckpoint(path, places, inline, metadata)))
    },
    { replace },
  )
}

/** Why T5X's format cannot hold a tensor of this name, or undefined if it can: its folder is called as its path, with `.` for `/`. */
export function t5xNameProblem(name: string): string | undefined {
  const keys = name.split('/')
  if (keys.includes('')) return 'a part of its path is empty'
  if (keys.length > msgpackLimits.depth / 2) return `its path has more than ${msgpackLimits.depth / 2} parts`
  if (!isPlainName(folderOf(name)) || name === 'checkpoint')
    return `${quote(folderOf(name))} cannot be the name of a folder`
  return nameProblem(name)
}

const folderOf = (name: string): string => name.replaceAll('/', '.')

function layOut(path: string, infos: readonly TensorInfo[], most: number): Map<string, Place> {
  const places = new Map<string, Place>()
  const owners = new Map<string, string>()
  for (const info of infos) {
    const { name, dtype, shape } = info
    const folder = folderOf(name)
    const owner = owners.get(folder)
    const problem =
      t5xNameProblem(name) ??
      (places.has(name) ? 'there are two of this name' : undefined) ??
      (owner === undefined ? undefined : `its folder would be that of ${quote(owner)}`) ??
      (shape.length > msgpackLimits.rank ? `it has more than ${msgpackLimits.rank} dimensions` : undefined) ??
      (byteLength(dtype, shape) === undefined ? `[${shape}] is not the shape of an array` : undefined)
    if (problem !== undefined) throw new SwitchyardError(`${path}: tensor ${quote(name)} cannot be written: ${problem}`)
    owners.set(folder, name)
    const inside = isUnpartitioned(info)
    places.set(name, {
      name,
      dtype,
      shape,
      folder: inside ? undefined : folder,
      chunks: inside ? [] : chooseChunks(dtype, shape, most),
    })
  }
  for (const name of places.keys()) {
    const parent = parentsOf(name).find(p => places.has(p))
    if (parent !== undefined)
      throw new SwitchyardError(
        `${path}: tensor ${quote(name)} cannot be written: a part of its path, ${quote(parent)}, is a tensor itself`,
      )
  }
  return places
}

/** `a`, `a/b` of `a/b/c`. */
const parentsOf = (name: string): string[] =>
  name
    .split('/')
    .slice(0, -1)
    .map((_, i, keys) => keys.slice(0, i + 1).join('/'))

/** The msgpack file. */
function encodeCheckpoint(
  path: string,
  places: ReadonlyMap<string, Place>,
  inline: ReadonlyMap<string, HostTensor>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const state = new Map<string, Encodable>()
  for (const place of places.values()) {
    const keys = place.name.split('/')
    const last = keys.pop()!
    let node = state
    for (const key of keys) {
      if (!node.has(key)) node.set(key, new Map<string, Encodable>())
      node = node.get(key) as Map<string, Encodable>
    }
    const tensor = inline.get(place.name)
    node.set(last, tensor === undefined ? zarrSpec(place) : { tensor })
  }
  const root = new Map<string, Encodable>([
    ['version', 3],
    ['optimizer', state],
  ])
  const texts = Object.entries(metadata)
  if (texts.length > 0) root.set('metadata', new Map(texts))
  return encodeMsgpack(path, root)
}

function zarrSpec({ dtype, shape, chunks, folder }: Place): Map<string, Encodable> {
  return new Map<string, Encodable>([
    ['driver', 'zarr'],
    ['dtype', dtype],
    [
      'kvstore',
      new Map([
        ['driver', 'file'],
        ['path', `${folder}/`],
      ]),
    ],
    [
      'metadata',
      new Map<string, Encodable>([
        ['chunks', chunks],
        [
          'compressor',
          new Map<string, Encodable>([
            ['id', 'gzip'],
            ['level', gzipLevel],
          ]),
        ],
        ['shape', shape],
      ]),
    ],
  ])
}

function checkTensor(path: string, place: Place, tensor: HostTensor): void {
  checkAgainstInfo(path, place, tensor)
  const bytes = bytesOf(tensor)
  if (bytes.byteLength !== byteLength(place.dtype, place.shape))
    throw new SwitchyardError(
      `${path}: tensor ${quote(place.name)} of ${tensor.dtype}[${tensor.shape}] brings ${bytes.byteLength} bytes`,
    )
  if (tensor.dtype === 'bool' && !isBoolData(bytes))
    throw new SwitchyardError(`${path}: tensor ${quote(place.name)} is bool and has bytes other than 0 and 1`)
}

async function writeZarr(folder: string, { dtype, shape, chunks }: Place, bytes: Uint8Array): Promise<void> {
  await withPath(folder, () => mkdir(folder))
  await withPath(folder, () => writeFile(join(folder, '.zarray'), zarrayText(dtype, shape, chunks, gzipLevel)))
  const width = dtypes[dtype].bytes
  const strides = stridesOf(shape)
  for (const index of gridOf({ grid: shape.map((d, i) => Math.ceil(d / chunks[i])) })) {
    const start = index.reduce((sum, i, d) => sum + i * chunks[d] * strides[d], 0) * width
    const filled = sizeOf(index.map((i, d) => Math.min(chunks[d], shape[d] - i * chunks[d]))) * width
    const part = bytes.subarray(start, start + filled)
    const chunk = filled === sizeOf(chunks) * width ? part : padded(part, sizeOf(chunks) * width)
    const file = join(folder, chunkName(index))
    await withPath(file, async () => writeFile(file, await pack(chunk, { level: gzipLevel })))
  }
}

function padded(bytes: Uint8Array, length: number): Uint8Array {
  const all = new Uint8Array(length)
  all.set(bytes)
  return all
}

/** To replace means to delete: only a checkpoint, or nothing much, may be. */
async function refuseForeignFolder(path: string): Promise<void> {
  for (const name of await namesIn(path)) {
    if (name === 'checkpoint' || (await isFile(join(path, name, '.zarray')))) continue
    throw new FileError(
      `${path}: this folder holds more than a T5X checkpoint (${quote(name)}) and is not replaced: choose another name, or remove it first`,
    )
  }
}
