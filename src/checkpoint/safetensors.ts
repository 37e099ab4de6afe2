import type { FileHandle } from 'node:fs/promises'
import { dtypes } from '../base/dtypes.js'
import type { DType } from '../base/dtypes.js'
import { FileError, SwitchyardError } from '../base/errors.js'
import { formatBytes, formatCount } from '../base/format.js'
import { bytesOf, tensorFromBytes } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { writeFileAtomically } from './atomic.js'
import { FileReader } from './file-reader.js'
import { decodeUtf8, firstBytes, openFile, readExactly, withPath, writeExactly } from './files.js'
import { byteLength, checkAgainstInfo, isBoolData, nameProblem, quote } from './format.js'
import type { CheckpointFormat, TensorInfo } from './format.js'
import { JsonReader } from './json.js'

// A file is: the header's length (8 bytes, little endian), the header (JSON, padded with spaces), the data.
// The header: {"__metadata__": {text: text}, name: {"dtype", "shape", "data_offsets": [begin, end]}, ...}, offsets
// counted from the start of the data. The tensors' ranges must cover the data without gaps or overlaps.

/** As the format says. */
const maxHeaderBytes = 100_000_000
const maxRank = 64
/** Ours: no honest file comes near, and a header of nothing but tiny entries would take gigabytes of memory. */
const maxTensors = 500_000
const maxMetadata = 100_000

const copyAgain = 'the file is broken, copy or download it again'

const codes: { readonly [D in DType]: string } = {
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

/** dtypes of the format that Switchyard has no arrays of, and what to store instead. */
const instead: ReadonlyMap<string, string> = new Map([
  ['F64', 'F32'],
  ['I16', 'I32'],
  ['U64', 'I64'],
  ['C64', 'two F32 tensors'],
  ...['F8_E4M3', 'F8_E5M2', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ', 'F6_E2M3', 'F6_E3M2', 'F4'].map(
    code => [code, 'BF16'] as const,
  ),
])

interface StoredTensor extends TensorInfo {
  /** Bytes from the start of the data. */
  readonly begin: number
  readonly end: number
}

interface Header {
  readonly metadata: Map<string, string>
  readonly tensors: Map<string, StoredTensor>
}

/** A file to be: its header, and the place of each tensor. */
export interface SafetensorsLayout {
  readonly header: Uint8Array
  readonly tensors: ReadonlyMap<string, StoredTensor>
}

/** Single .safetensors files. Strict: what the format forbids is refused, and so are names that no honest file has. */
export const safetensors: CheckpointFormat = {
  name: 'safetensors',

  async detect(path) {
    if (path.endsWith('.safetensors')) return true
    const start = await firstBytes(path, 9)
    return start !== undefined && start.length === 9 && start[8] === 0x7b && headerLength(start) <= maxHeaderBytes
  },

  async open(path) {
    const { handle, bytes } = await openFile(path)
    try {
      const length = await readHeaderLength(path, handle, bytes)
      const text = decodeUtf8(path, await readExactly(path, handle, 8, length, 'the header'), 'the header')
      const header = parseHeader(path, text, bytes - 8 - length)
      return new SafetensorsReader(path, handle, 8 + length, header)
    } catch (error) {
      await handle.close()
      throw error
    }
  },

  async write(path, source, options = {}) {
    const layout = layOut(path, source.infos, options.metadata ?? {})
    await writeFileAtomically(
      path,
      async handle => {
        const body = await SafetensorsBody.begin(path, handle, layout)
        for await (const [name, tensor] of source.entries) await body.put(name, tensor)
        body.end()
      },
      { replace: options.replace },
    )
  },
}

class SafetensorsReader extends FileReader<StoredTensor> {
  constructor(
    path: string,
    handle: FileHandle,
    private readonly dataStart: number,
    { metadata, tensors }: Header,
  ) {
    super(path, metadata, handle, tensors)
  }

  protected async readTensor({ name, dtype, shape, begin, end }: StoredTensor): Promise<HostTensor> {
    const bytes = await readExactly(
      this.path,
      this.handle,
      this.dataStart + begin,
      end - begin,
      `tensor ${quote(name)}`,
    )
    if (dtype === 'bool' && !isBoolData(bytes)) {
      throw new FileError(
        `${this.path}: tensor ${quote(name)} is BOOL and has bytes other than 0 and 1: write it again as U8`,
      )
    }
    return tensorFromBytes(dtype, shape, bytes)
  }
}

/** As a number: past 2^53 it is not exact, and too large all the same. */
const headerLength = (start: Uint8Array): number =>
  Number(new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true))

async function readHeaderLength(path: string, handle: FileHandle, fileBytes: number): Promise<number> {
  const again = 'it was cut off, or is not a safetensors file: copy or download it again'
  if (fileBytes === 0) throw new FileError(`${path}: the file is empty: copy or download it again`)
  if (fileBytes < 8)
    throw new FileError(
      `${path}: the file has ${fileBytes} bytes, and a safetensors file begins with 8 bytes of header length: ${again}`,
    )
  const length = headerLength(await readExactly(path, handle, 0, 8, 'the header length'))
  if (length > maxHeaderBytes) {
    throw new FileError(
      `${path}: the header claims ${formatCount(length)} bytes, and the format allows ${formatCount(maxHeaderBytes)}: this is not a safetensors file, or it is broken`,
    )
  }
  if (length > fileBytes - 8) {
    throw new FileError(
      `${path}: the header claims ${formatCount(length)} bytes, and the file has ${formatCount(fileBytes - 8)} after the length: ${again}`,
    )
  }
  return length
}

function parseHeader(path: string, text: string, dataBytes: number): Header {
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
      json.object(key => {
        metadata.set(key, json.string())
        checkCount(path, metadata.size, maxMetadata, 'pieces of metadata')
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
      `${path}: the header has more than ${formatCount(most)} ${what}: this is not an honest file; if it is, split it`,
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

  const dtype = dtypeOf.get(code)
  if (dtype === undefined) {
    const other = instead.get(code)
    throw broken(
      other === undefined
        ? `the dtype ${quote(code)} is unknown; known: ${[...dtypeOf.keys()].join(', ')}`
        : `the dtype ${code} is not supported: convert the tensor to ${other} with the library that wrote it`,
    )
  }
  const bytes = byteLength(dtype, shape)
  if (bytes === undefined)
    throw broken(`the shape [${shape}] overflows: no file is that large, this one is broken or malicious`)
  const [begin, end] = offsets
  if (end - begin !== bytes) {
    throw broken(
      `${code}[${shape}] needs ${formatCount(bytes)} bytes, and data_offsets [${begin}, ${end}] give it ${formatCount(end - begin)}: ${copyAgain}`,
    )
  }
  return { name, dtype, shape, begin, end }
}

/** The ranges must cover all of the data, each byte once. */
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

function safetensorsNameProblem(name: string): string | undefined {
  return name === '__metadata__' ? 'the format keeps this name for itself' : nameProblem(name)
}

/**
 * Where everything goes. The header keeps the order of `infos`; the data goes wide dtypes first, so that each tensor
 * is aligned for its dtype (some readers map the file).
 */
export function layOut(
  path: string,
  infos: readonly TensorInfo[],
  metadata: Readonly<Record<string, string>>,
): SafetensorsLayout {
  const tensors = new Map<string, StoredTensor>()
  for (const { name, dtype, shape } of infos) {
    const bytes = byteLength(dtype, shape)
    const problem =
      safetensorsNameProblem(name) ??
      (tensors.has(name) ? 'there are two of this name' : undefined) ??
      (shape.length > maxRank ? `it has more than ${maxRank} dimensions` : undefined) ??
      (bytes === undefined ? `[${shape}] is not the shape of an array` : undefined)
    if (problem !== undefined) throw new SwitchyardError(`${path}: tensor ${quote(name)} cannot be written: ${problem}`)
    tensors.set(name, { name, dtype, shape, begin: 0, end: bytes! })
  }
  let position = 0
  for (const t of [...tensors.values()].sort((a, b) => dtypes[b.dtype].bytes - dtypes[a.dtype].bytes)) {
    tensors.set(t.name, { ...t, begin: position, end: position + t.end })
    position += t.end
  }
  // Put together by hand: an object would bring names like "0" to the front.
  const fields = Array.from(
    tensors.values(),
    t =>
      `${JSON.stringify(t.name)}:${JSON.stringify({ dtype: codes[t.dtype], shape: t.shape, data_offsets: [t.begin, t.end] })}`,
  )
  if (Object.keys(metadata).length > 0) fields.unshift(`"__metadata__":${JSON.stringify(metadata)}`)
  const text = `{${fields.join(',')}}`
  const length = Buffer.byteLength(text)
  const header = Buffer.alloc(8 + Math.ceil(length / 8) * 8, ' ')
  if (Object.hasOwn(metadata, '__proto__') || Object.keys(metadata).length > maxMetadata) {
    throw new SwitchyardError(
      `${path}: metadata cannot be written: more than ${formatCount(maxMetadata)} pieces, or one called "__proto__"`,
    )
  }
  if (header.length - 8 > maxHeaderBytes || tensors.size > maxTensors) {
    throw new SwitchyardError(
      `${path}: the names and shapes of ${formatCount(tensors.size)} tensors need a header of ${formatBytes(length)}; a file takes ${formatBytes(maxHeaderBytes)} and ${formatCount(maxTensors)} tensors: split the tensors over several files`,
    )
  }
  header.writeBigUInt64LE(BigInt(header.length - 8))
  header.write(text, 8)
  return { header, tensors }
}

/**
 * One file's tensors, written as they come: `begin`, then `put` each tensor once, in any order, then `end`. The handle
 * is an empty file of the caller, who closes it; `path` is for messages.
 */
export class SafetensorsBody {
  private readonly missing: Set<string>

  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    private readonly headerBytes: number,
    private readonly tensors: ReadonlyMap<string, StoredTensor>,
  ) {
    this.missing = new Set(tensors.keys())
  }

  static async begin(
    path: string,
    handle: FileHandle,
    { header, tensors }: SafetensorsLayout,
  ): Promise<SafetensorsBody> {
    await withPath(path, () => writeExactly(handle, header, 0))
    return new SafetensorsBody(path, handle, header.byteLength, tensors)
  }

  /** Whether every announced tensor has come. */
  get complete(): boolean {
    return this.missing.size === 0
  }

  async put(name: string, tensor: HostTensor): Promise<void> {
    const { path } = this
    const place = this.tensors.get(name)
    if (place === undefined || !this.missing.delete(name)) {
      throw new SwitchyardError(
        `${path}: tensor ${quote(name)} came ${place === undefined ? 'without having been announced' : 'twice'}`,
      )
    }
    checkAgainstInfo(path, place, tensor)
    const bytes = bytesOf(tensor)
    if (bytes.byteLength !== place.end - place.begin) {
      throw new SwitchyardError(
        `${path}: tensor ${quote(name)} of ${tensor.dtype}[${tensor.shape}] brings ${bytes.byteLength} bytes`,
      )
    }
    if (tensor.dtype === 'bool' && !isBoolData(bytes))
      throw new SwitchyardError(`${path}: tensor ${quote(name)} is bool and has bytes other than 0 and 1`)
    await withPath(path, () => writeExactly(this.handle, bytes, this.headerBytes + place.begin))
  }

  end(): void {
    if (this.complete) return
    throw new SwitchyardError(
      `${this.path}: ${formatCount(this.missing.size)} announced tensors never came: ${[...this.missing].slice(0, 5).map(quote).join(', ')}`,
    )
  }
}
