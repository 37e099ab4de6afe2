import { dtypes } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import { FileError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { sizeOf } from '../../base/host-tensor.js'
import { isPlainName } from '../files.js'
import { byteLength, quote } from '../format.js'
import type { TensorInfo } from '../format.js'
import { StoredArray, isMap } from './msgpack.js'
import type { MsgpackMap, MsgpackValue } from './msgpack.js'

// The file's structure: {version: 3, optimizer: {target: {...}, state: {step, param_states: {...}}}}, nested as the
// parameters' paths are. A leaf is an array in the file, one in several parts, or TensorStore's description of a zarr
// folder beside it. Flax's own checkpoints, without a version, have the state at the top.

/** A leaf whose bytes are in the msgpack file, in one piece or several. */
export interface InlineLeaf extends TensorInfo {
  readonly pieces: readonly StoredArray[]
}

/** A leaf in the zarr folder of this name. `metadata` is the msgpack file's copy of the folder's .zarray. */
export interface ZarrLeaf extends TensorInfo {
  readonly folder: string
  readonly metadata: MsgpackMap
}

export type StateLeaf = InlineLeaf | ZarrLeaf

export interface StateTree {
  /** The leaves by their paths in the state: `target/encoder/...`, `state/step`. */
  readonly leaves: ReadonlyMap<string, StateLeaf>
  /** The metadata that our writer stores, and all values of the state that are not arrays, by path. */
  readonly metadata: ReadonlyMap<string, string>
}

const copyAgain = 'the file is broken, copy or download it again'
const chunkedMark = '__msgpack_chunked_array__'
const newestVersion = 3

/** Finds and checks the leaves of a checkpoint's structure. */
export function readStateTree(path: string, root: MsgpackMap): StateTree {
  const metadata = new Map<string, string>()
  const leaves = new Map<string, StateLeaf>()
  const visit = (value: MsgpackValue, name: string): void => {
    const leaf = leafOf(path, name, value)
    if (leaf !== undefined) {
      if (leaves.has(name))
        throw new FileError(`${path}: there are two tensors ${quote(name)}: the file is broken or malicious`)
      leaves.set(name, leaf)
    } else if (isMap(value)) {
      for (const [key, child] of value) visit(child, name === '' ? key : `${name}/${key}`)
    } else if (typeof value === 'string' && value.startsWith('PLACEHOLDER://')) {
      throw new FileError(`${path}: ${quote(name)} is only a place holder: this is an Orbax checkpoint; ${convert}`)
    } else if (value !== null) metadata.set(name, String(value))
  }
  const texts = root.has('version') ? root.get('metadata') : undefined
  if (isMap(texts)) for (const [key, text] of texts) metadata.set(key, String(text))
  visit(stateOf(path, root), '')
  return { leaves, metadata }
}

/** The advice for checkpoints of other kinds. */
export const convert = 'load it with T5X and save it with t5x.checkpoints.Checkpointer, or as safetensors'

function stateOf(path: string, root: MsgpackMap): MsgpackMap {
  const version = root.get('version') ?? 0
  if (version === 0) return root
  if (version !== 2 && version !== newestVersion) {
    throw new FileError(
      `${path}: it has version ${String(version)} of T5X's format, and Switchyard knows 2 and ${newestVersion}: ${convert}`,
    )
  }
  const state = root.get('optimizer')
  if (!isMap(state))
    throw new FileError(`${path}: there is no "optimizer", which holds all tensors of a T5X checkpoint: ${copyAgain}`)
  return state
}

/** The leaf that a value describes; undefined if it is not a leaf. */
function leafOf(path: string, name: string, value: MsgpackValue): InlineLeaf | ZarrLeaf | undefined {
  if (value instanceof StoredArray) return inlineLeaf(path, name, value.shape, [value])
  if (!isMap(value)) return undefined
  if (value.get(chunkedMark) === true) return chunkedLeaf(path, name, value)
  return typeof value.get('driver') === 'string' ? zarrLeaf(path, name, value) : undefined
}

function inlineLeaf(path: string, name: string, shape: readonly number[], pieces: readonly StoredArray[]): InlineLeaf {
  const dtype = dtypeOf(path, name, pieces[0].dtype)
  const bytes = byteLength(dtype, shape)
  const present = pieces.reduce((sum, piece) => sum + piece.length, 0)
  if (bytes !== present) {
    throw new FileError(
      `${path}: tensor ${quote(name)}: ${dtype}[${shape}] does not take the ${formatCount(present)} bytes that it has: ${copyAgain}`,
    )
  }
  return { name, dtype, shape, pieces }
}

/** Flax's form of arrays past 2^30 bytes: {shape: {"0": n, ...}, chunks: {"0": array, ...}}. */
function chunkedLeaf(path: string, name: string, value: MsgpackMap): InlineLeaf {
  const inOrder = (key: string): readonly MsgpackValue[] | undefined => {
    const items = value.get(key)
    if (!isMap(items)) return undefined
    const list = Array.from({ length: items.size }, (_, i) => items.get(String(i)))
    return list.every(item => item !== undefined) ? list : undefined
  }
  const shape = inOrder('shape')
  const pieces = inOrder('chunks')
  const sizes = shape?.every(d => typeof d === 'number' && Number.isSafeInteger(d) && d >= 0)
  const alike = pieces?.every(
    p =>
      p instanceof StoredArray &&
      p.dtype === (pieces[0] as StoredArray).dtype &&
      byteLength('uint8', p.shape) === sizeOf(p.shape),
  )
  if (!sizes || !alike || pieces!.length === 0)
    throw new FileError(
      `${path}: tensor ${quote(name)}, an array in pieces, is not {shape, chunks} with pieces of one dtype: ${copyAgain}`,
    )
  return inlineLeaf(path, name, shape as number[], pieces as StoredArray[])
}

function zarrLeaf(path: string, name: string, spec: MsgpackMap): ZarrLeaf {
  const wrong = (message: string): FileError => new FileError(`${path}: tensor ${quote(name)}: ${message}`)
  const kvstore = spec.get('kvstore')
  const metadata = spec.get('metadata')
  if (!isMap(kvstore) || !isMap(metadata))
    throw wrong(`its description has no "kvstore" or no "metadata": ${copyAgain}`)
  const store = kvstore.get('driver')
  if (store === 'ocdbt') throw wrong(`it is stored in OCDBT, which Switchyard does not read: ${convert}`)
  if (spec.get('driver') !== 'zarr' || !['file', 'gfile', 'gcs'].includes(store as string)) {
    throw wrong(
      `it is stored as ${quote(String(spec.get('driver')))} in ${quote(String(store))}, and Switchyard reads "zarr" in "file", "gfile" or "gcs": ${convert}`,
    )
  }
  // The path is from the machine that wrote the file. Only its last part is used: the folder is beside the msgpack
  // file.
  const place = kvstore.get('path') ?? spec.get('path')
  const folder = typeof place === 'string' ? place.replace(/\/$/, '') : ''
  if (!isPlainName(folder))
    throw wrong(
      `it is said to be in ${quote(String(place))}, which is no name of a folder in this one: the file is broken or malicious, and that folder was not opened`,
    )
  const shape = metadata.get('shape')
  if (!(shape instanceof Array)) throw wrong(`its description has no shape: ${copyAgain}`)
  const dtype = dtypeOf(path, name, spec.get('dtype'))
  if (byteLength(dtype, shape as number[]) === undefined)
    throw wrong(`the shape [${shape.join()}] overflows: no array is that large, the file is broken or malicious`)
  return { name, dtype, shape: shape as number[], folder, metadata }
}

/** The dtype of a NumPy dtype's name, which are equal. */
function dtypeOf(path: string, name: string, dtype: MsgpackValue | undefined): DType {
  if (typeof dtype === 'string' && Object.hasOwn(dtypes, dtype)) return dtype as DType
  throw new FileError(
    `${path}: tensor ${quote(name)}: the dtype ${quote(String(dtype))} is not supported; supported: ${Object.keys(dtypes).join(', ')}`,
  )
}
