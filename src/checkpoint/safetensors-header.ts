/**
 * The header of a .safetensors file. A file is: the header's length (8 bytes, little endian), the header (JSON, padded
 * with spaces), the data. The header is `{"__metadata__": {text: text}, name: {"dtype", "shape", "data_offsets":
 * [begin, end]}, ...}`. Metadata may be absent or null. Offsets count from the start of the data. The tensors' ranges
 * cover the data without gaps or overlaps.
 */
import { FileError } from '../base/errors.js'
import type { DType } from '../base/dtypes.js'
import { formatCount } from '../base/format.js'
import { byteLength, nameProblem, quote } from './format.js'
import type { TensorInfo } from './format.js'
import { JsonReader } from './json.js'

/** The format's limits on a header's bytes and a tensor's dimensions. */
export const maxHeaderBytes = 100_000_000
export const maxRank = 64
/** Our own limits, far above any real file: a header of nothing but tiny entries would take gigabytes of memory. */
export const maxTensors = 500_000
export const maxMetadata = 100_000

const copyAgain = 'the file is broken, copy or download it again'

/** The format's name for each dtype. */
export const codes: { readonly [D in DType]: string } = {
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  uint32: 'U32',
  uint16: 'U16',
  uint8: 'U8',
  int8: 'I8',
  bool: 'BOOL',
}
const dtypeOf: ReadonlyMap<string, DType> = new Map((Object.keys(codes) as DType[]).map(dtype => [codes[dtype], dtype]))

/** The format's name for float64. Such tensors are read as float32. */
const float64Code = 'F64'

/** dtypes of the format that Switchyard has no arrays of, and the dtype to convert each to. */
const replacements: ReadonlyMap<string, string> = new Map([
  ['I16', 'I32'],
  ['U64', 'I64'],
  ['C64', 'two F32 tensors'],
  ...['F8_E4M3', 'F8_E5M2', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ', 'F6_E2M3', 'F6_E3M2', 'F4'].map(
    code => [code, 'BF16'] as const,
  ),
])

export interface StoredTensor extends TensorInfo {
  /** The range of its bytes, counted from the start of the data. */
  readonly begin: number
  readonly end: number
  /** Whether the file stores float64, which is read as float32. */
  readonly isFloat64?: boolean
}

export interface Header {
  readonly metadata: Map<string, string>
  readonly tensors: Map<string, StoredTensor>
}

/**
 * The header length that the first 8 bytes of a file state. Above 2^53 it is not exact, but then it is too large
 * anyway.
 */
export const headerLength = (start: Uint8Array): number =>
  Number(new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true))

/** Parses and checks a header. `dataBytes`: the size of the data behind it. Throws a FileError. */
export function parseHeader(path: string, text: string, dataBytes: number): Header {
  let current = ''
  const json = new JsonReader(
    text,
    message =>
      new FileError(
        `${path}: ${current}the header is not the JSON that safetensors asks for, ${message}: ${copyAgain}`,
      ),
  )
  if (!text.startsWith('{'))
    throw new FileError(`${path}: the header does not begin with "{": this is not a safetensors file, or it is broken`)
  const metadata = new Map<string, string>()
  const tensors = new Map<string, StoredTensor>()
  json.object(name => {
    current = `tensor ${quote(name)}: `
    if (name === '__metadata__') {
      current = ''
      if (!json.acceptNull())
        json.object(key => {
          current = `metadata ${quote(key)}: `
          metadata.set(key, json.string())
          checkCount(path, metadata.size, maxMetadata, 'entries of metadata')
        })
    } else tensors.set(name, parseTensor(path, name, json))
    checkCount(path, tensors.size, maxTensors, 'tensors')
    current = ''
  })
  json.end()
  checkRanges(path, tensors, dataBytes)
  return { metadata, tensors }
}

function checkCount(path: string, count: number, most: number, what: string): void {
  if (count > most)
    throw new FileError(
      `${path}: the header has more than ${formatCount(most)} ${what}: this is probably a malicious file; if it is not, split it`,
    )
}

function parseTensor(path: string, name: string, json: JsonReader): StoredTensor {
  const broken = (message: string): FileError => new FileError(`${path}: tensor ${quote(name)}: ${message}`)
  const badName = safetensorsNameProblem(name)
  if (badName !== undefined) throw broken(badName)

  let code: string | undefined
  let shape: number[] | undefined
  let offsets: number[] | undefined
  const integers = (what: string, most: number): number[] => {
    const values: number[] = []
    json.array(() => {
      const value = json.integer()
      if (value < 0) throw broken(`${what} has a negative number, ${value}: ${copyAgain}`)
      if (values.push(value) > most) throw broken(`${what} has more than ${most} numbers: ${copyAgain}`)
    })
    return values
  }
  json.object(key => {
    if (key === 'dtype') code = json.string()
    else if (key === 'shape') shape = integers('its shape', maxRank)
    else if (key === 'data_offsets') offsets = integers('"data_offsets"', 2)
    else
      throw broken(
        `has the field ${quote(key)}, and the format knows dtype, shape and data_offsets only: write the file again`,
      )
  })
  if (code === undefined || shape === undefined || offsets?.length !== 2)
    throw broken(`dtype, shape or data_offsets is missing: ${copyAgain}`)

  const isFloat64 = code === float64Code
  const dtype = isFloat64 ? 'float32' : dtypeOf.get(code)
  if (dtype === undefined) {
    const other = replacements.get(code)
    throw broken(
      other === undefined
        ? `the dtype ${quote(code)} is unknown; known: ${[...dtypeOf.keys()].join(', ')}`
        : `the dtype ${code} is not supported: convert the tensor to ${other} with the library that wrote it`,
    )
  }
  const bytes = byteLength(isFloat64 ? 'int64' : dtype, shape)
  if (bytes === undefined)
    throw broken(`the shape [${shape}] overflows: no file is that large, this one is broken or malicious`)
  const [begin, end] = offsets
  if (end - begin !== bytes) {
    throw broken(
      `${code}[${shape}] needs ${formatCount(bytes)} bytes, and data_offsets [${begin}, ${end}] give it ${formatCount(end - begin)}: ${copyAgain}`,
    )
  }
  return { name, dtype, shape, begin, end, ...(isFloat64 && { isFloat64 }) }
}

/** Throws a FileError unless the ranges cover every byte of the data exactly once. */
function checkRanges(path: string, tensors: ReadonlyMap<string, StoredTensor>, dataBytes: number): void {
  const ordered = [...tensors.values()].sort((a, b) => a.begin - b.begin || a.end - b.end)
  let covered = 0
  let previous = ''
  for (const { name, begin, end } of ordered) {
    if (end > dataBytes) {
      throw new FileError(
        `${path}: tensor ${quote(name)} ends at byte ${formatCount(end)} of the data, and the file has ${formatCount(dataBytes)}: it was cut off, copy or download it again`,
      )
    }
    if (begin < covered)
      throw new FileError(
        `${path}: tensor ${quote(name)} overlaps tensor ${quote(previous)}: the file is broken or malicious`,
      )
    if (begin > covered) {
      throw new FileError(
        `${path}: ${formatCount(begin - covered)} bytes before tensor ${quote(name)} belong to no tensor, which the format forbids: write the file again`,
      )
    }
    covered = end
    previous = name
  }
  if (covered !== dataBytes) {
    throw new FileError(
      `${path}: the last ${formatCount(dataBytes - covered)} bytes belong to no tensor, which the format forbids: copy or download the file again`,
    )
  }
}

/** Why a .safetensors file cannot have a tensor of this name; undefined if it can. */
export function safetensorsNameProblem(name: string): string | undefined {
  return name === '__metadata__' ? 'the format keeps this name for itself' : nameProblem(name)
}
