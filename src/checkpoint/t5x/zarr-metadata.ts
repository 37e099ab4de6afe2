import * as z from 'zod'
import { dtypes } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import { FileError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { byteLength, quote } from '../format.js'
import { parseJson } from '../json.js'
import type { Json } from '../json.js'
import type { MsgpackMap, MsgpackValue } from './msgpack.js'
import type { ZarrLeaf } from './state-tree.js'

// A zarr array of version 2 (zarr-specs.readthedocs.io) is a folder with `.zarray`, a JSON text, and a file for each
// chunk, named by its index in the grid of chunks: `0.2`. Chunks at the edges are stored in full size.

/** `.zarray` names a dtype by byte order, kind and width; bfloat16 is TensorStore's own addition. */
const zarrDtypes: { readonly [D in DType]: string } = {
  float32: '<f4',
  float16: '<f2',
  bfloat16: 'bfloat16',
  int64: '<i8',
  int32: '<i4',
  uint32: '<u4',
  uint16: '<u2',
  uint8: '|u1',
  int8: '|i1',
  bool: '|b1',
}

export type Compressor = 'gzip' | 'zstd' | 'none'

/** How an array is divided into chunks, and how they are stored. */
export interface ZarrLayout {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly chunks: readonly number[]
  /** The number of chunks along each axis. */
  readonly grid: readonly number[]
  readonly chunkBytes: number
  readonly compressor: Compressor
  /** The elements' value in chunks that are not stored; undefined if all chunks must be stored. */
  readonly fill: number | undefined
}

/** Our own limit: T5X's chunks have 64 MiB each. */
const maxChunks = 1_000_000
const copyAgain = 'the file is broken, copy or download it again'

const sizes = z.array(z.int().min(0)).max(32)
const floats: Readonly<Record<string, number>> = { NaN, Infinity, '-Infinity': -Infinity }

const storedSchema = z.object({ chunks: sizes, compressor: z.object({ id: z.string() }).nullable() })
const zarraySchema = storedSchema.extend({
  zarr_format: z.literal(2, 'must be 2'),
  shape: sizes,
  dtype: z.string(),
  order: z.literal('C', 'must be "C", row by row'),
  fill_value: z.union([z.number(), z.boolean(), z.enum(['NaN', 'Infinity', '-Infinity'])]).nullable(),
  filters: z.array(z.unknown()).max(0, 'are not supported').nullish(),
  dimension_separator: z.literal('.', 'must be "."').optional(),
})

/** Parses `.zarray`, whose path is `path`. Throws a FileError if its dtype or shape differs from the msgpack file's. */
export function parseZarray(path: string, text: string, leaf: ZarrLeaf): ZarrLayout {
  const json = parseJson(text, message => wrong(path, leaf, `this is not JSON, ${message}: ${copyAgain}`))
  const { dtype, shape, fill_value: fill, chunks, compressor } = check(zarraySchema, path, leaf, json)
  if (shape.join() !== leaf.shape.join())
    throw wrong(
      path,
      leaf,
      `its shape is [${shape}], and the checkpoint says [${leaf.shape}]: these files are not of one checkpoint, copy it again`,
    )
  const width = /^[<|](.*)$/.exec(dtype)?.[1] ?? dtype
  if (width !== zarrDtypes[leaf.dtype].replace(/^[<|]/, '')) {
    throw wrong(
      path,
      leaf,
      `its dtype is ${quote(dtype)}, and the checkpoint says ${leaf.dtype}, ${quote(zarrDtypes[leaf.dtype])}: these files are not of one checkpoint, or its numbers are big endian`,
    )
  }
  return zarrLayout(
    path,
    leaf,
    chunks,
    compressor,
    fill === null ? undefined : Number(typeof fill === 'string' ? floats[fill] : fill),
  )
}

/** The layout according to the msgpack file, for a folder without `.zarray`. `path` is the folder. */
export function layoutWithoutZarray(path: string, leaf: ZarrLeaf): ZarrLayout {
  const { chunks, compressor } = check(storedSchema, path, leaf, toJson(leaf.metadata))
  return zarrLayout(path, leaf, chunks, compressor, undefined)
}

function zarrLayout(
  path: string,
  leaf: ZarrLeaf,
  chunks: readonly number[],
  compressor: { id: string } | null,
  fill: number | undefined,
): ZarrLayout {
  const { dtype, shape } = leaf
  const id = compressor?.id ?? 'none'
  if (id !== 'gzip' && id !== 'zstd' && id !== 'none')
    throw wrong(path, leaf, `its compressor is ${quote(id)}, and Switchyard reads gzip, zstd and uncompressed chunks`)
  const chunkBytes = byteLength(dtype, chunks)
  if (chunks.length !== shape.length || chunkBytes === undefined || chunks.some((c, i) => c === 0 && shape[i] !== 0)) {
    throw wrong(path, leaf, `[${shape}] cannot be cut into chunks of [${chunks}]: ${copyAgain}`)
  }
  const grid = shape.map((d, i) => (d === 0 ? 0 : Math.ceil(d / chunks[i])))
  const count = grid.reduce((n, g) => n * g, 1)
  if (count > maxChunks)
    throw wrong(
      path,
      leaf,
      `it is cut into ${formatCount(count)} chunks, more than ${formatCount(maxChunks)}: this is not an honest file`,
    )
  return { dtype, shape, chunks, grid, chunkBytes, compressor: id, fill }
}

/**
 * A chunk shape of at most `bytes` that divides only the first axes, so that each chunk is contiguous in the array's
 * memory. No axis of the shape may be 0.
 */
export function chooseChunks(dtype: DType, shape: readonly number[], bytes: number): number[] {
  const chunks = [...shape]
  let rest = dtypes[dtype].bytes * shape.reduce((n, d) => n * d, 1)
  for (let axis = 0; axis < shape.length && rest > bytes; axis++) {
    rest /= shape[axis]
    chunks[axis] = Math.max(1, Math.floor(bytes / rest))
    rest *= chunks[axis]
  }
  return chunks
}

/** The text of `.zarray` for gzip chunks, keys in the order in which TensorStore writes them. */
export const zarrayText = (dtype: DType, shape: readonly number[], chunks: readonly number[], level: number): string =>
  JSON.stringify({
    chunks,
    compressor: { id: 'gzip', level },
    dimension_separator: '.',
    dtype: zarrDtypes[dtype],
    fill_value: null,
    filters: null,
    order: 'C',
    shape,
    zarr_format: 2,
  })

const wrong = (path: string, leaf: ZarrLeaf, message: string): FileError =>
  new FileError(`${path}: tensor ${quote(leaf.name)}: ${message}`)

function check<T>(schema: z.ZodType<T>, path: string, leaf: ZarrLeaf, value: Json): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw wrong(path, leaf, `this does not describe a zarr array that Switchyard reads\n${z.prettifyError(parsed.error)}`)
}

function toJson(value: MsgpackValue): Json {
  if (value instanceof Map)
    return Object.fromEntries(Array.from(value as MsgpackMap, ([key, item]) => [key, toJson(item)]))
  if (value instanceof Array) return value.map(toJson)
  return typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean' ? value : null
}
