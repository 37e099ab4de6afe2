import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { allocate } from '../../base/dtypes.js'
import { FileError } from '../../base/errors.js'
import { bytesOf, sizeOf } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { writeFolderAtomically } from '../atomic.js'
import { isFile, isPlainName, namesIn, withPath } from '../files.js'
import { nameProblem, quote } from '../format.js'
import type { TensorInfo, TensorSource, WriteOptions } from '../format.js'
import { cannotWrite, checkAnnounced, delivered } from '../tensor-source.js'
import { msgpackLimits } from './msgpack.js'
import { encodeMsgpack } from './msgpack-write.js'
import type { Encodable } from './msgpack-write.js'
import { chooseChunks } from './zarr-metadata.js'
import { gzipLevel, ZarrWriter } from './zarr-write.js'

/** T5X's default for the size of a chunk before compression. */
const chunkBytes = 64 * 2 ** 20

export interface T5xWriteOptions extends WriteOptions {
  /** Bytes of a chunk before compression. Default 64 MiB. */
  chunkBytes?: number
  /** Further files of the folder by name, such as a vocabulary. T5X does not read them. */
  files?: Readonly<Record<string, Uint8Array>>
}

/**
 * Whether T5X keeps a tensor in the msgpack file instead of partitioning it: scalars, placeholders, and Adafactor's row
 * and column means of scanned kernels.
 */
const isUnpartitioned = ({ name, shape }: TensorInfo): boolean =>
  sizeOf(shape) <= 1 || (shape.length === 2 && /^state\/param_states\/(\w+)\/\1\/.*\/v_(row|col)$/.test(name))

/** Where one tensor will be written. */
interface Place extends TensorInfo {
  /** The name of its zarr folder; undefined if it is kept in the msgpack file. */
  readonly folder: string | undefined
  readonly chunks: readonly number[]
}

/**
 * Writes `checkpoint_<step>` as T5X does: a msgpack file `checkpoint`, and one zarr folder for each tensor. Tensors are
 * named by their paths in the state: T5X itself looks for the parameters under `target/` and for `state/step`.
 */
export async function writeT5x(path: string, source: TensorSource, options: T5xWriteOptions = {}): Promise<void> {
  const { metadata = {}, replace = false, files = {} } = options
  const places = placeTensors(path, source.infos, options.chunkBytes ?? chunkBytes)
  const inline = new Map<string, HostTensor>()
  for (const { name, dtype, shape, folder } of places.values())
    if (folder === undefined) inline.set(name, { dtype, shape, data: allocate(dtype, sizeOf(shape)) })
  encodeCheckpoint(path, places, inline, metadata) // throws its errors before the long work begins
  if (replace) await refuseForeignFolder(path)

  await writeFolderAtomically(
    path,
    async temp => {
      const arrays = new Map<string, ZarrWriter>()
      for await (const { info, offset, bytes, isLast } of delivered(path, source.entries, places)) {
        const { name, folder } = info
        if (folder === undefined) bytesOf(inline.get(name)!).set(bytes, offset)
        else {
          const array = arrays.get(name) ?? (await ZarrWriter.create(join(temp, folder), info))
          await array.write(bytes)
          if (isLast) arrays.delete(name)
          else arrays.set(name, array)
        }
      }
      const written = { ...files, checkpoint: encodeCheckpoint(path, places, inline, metadata) }
      for (const [name, bytes] of Object.entries(written)) {
        const file = join(temp, name)
        await withPath(file, () => writeFile(file, bytes))
      }
    },
    { replace },
  )
}

/**
 * Why T5X's format cannot hold a tensor of this name; undefined if it can. A tensor's folder is its path with `.` for
 * `/`.
 */
export function t5xNameProblem(name: string): string | undefined {
  const keys = name.split('/')
  if (keys.includes('')) return 'a part of its path is empty'
  if (keys.length > msgpackLimits.depth / 2) return `its path has more than ${msgpackLimits.depth / 2} parts`
  if (!isPlainName(folderOf(name)) || name === 'checkpoint')
    return `${quote(folderOf(name))} cannot be the name of a folder`
  return nameProblem(name)
}

const folderOf = (name: string): string => name.replaceAll('/', '.')

function placeTensors(path: string, infos: readonly TensorInfo[], most: number): Map<string, Place> {
  checkAnnounced(path, infos, { maxRank: msgpackLimits.rank, nameProblem: t5xNameProblem })
  const places = new Map<string, Place>()
  const owners = new Map<string, string>()
  for (const info of infos) {
    const { name, dtype, shape } = info
    const folder = folderOf(name)
    const owner = owners.get(folder)
    if (owner !== undefined) throw cannotWrite(path, name, `its folder would be the folder of ${quote(owner)}`)
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
    if (parent !== undefined) throw cannotWrite(path, name, `a part of its path, ${quote(parent)}, is a tensor itself`)
  }
  return places
}

/** The proper prefixes of a path: `a` and `a/b` for `a/b/c`. */
const parentsOf = (name: string): string[] =>
  name
    .split('/')
    .slice(0, -1)
    .map((_, i, keys) => keys.slice(0, i + 1).join('/'))

/** The bytes of the msgpack file. */
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

/** Replacing deletes the old folder. Throws a FileError if it holds anything but a T5X checkpoint. */
async function refuseForeignFolder(path: string): Promise<void> {
  for (const name of await namesIn(path)) {
    if (name === 'checkpoint' || (await isFile(join(path, name, '.zarray')))) continue
    throw new FileError(
      `${path}: this folder holds more than a T5X checkpoint (${quote(name)}) and is not replaced: choose another name, or remove it first`,
    )
  }
}
