import { check, FileError } from '../base/errors.js'
import { formatCount } from '../base/format.js'
import { sizeOf, tensorFromBytes } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { decodeUtf8, readExactly } from './byte-source.js'
import type { ByteSource } from './byte-source.js'
import { contiguousRows } from '../engine/compile/parts.js'
import { FileReader } from './file-reader.js'
import { float64Notice, isBoolData, narrowFloat64, quote } from './format.js'
import type { CheckpointReader, RemoteRange, StoredBytes } from './format.js'
import { readRows } from './read-rows.js'
import { headerLength, maxHeaderBytes, parseHeader } from './safetensors-header.js'
import type { Header, StoredTensor } from './safetensors-header.js'

/**
 * Opens a safetensors file. Throws a FileError for whatever the format forbids, and for tensor names with `__proto__`
 * or malformed Unicode. The reader's `close` closes the source. If opening fails, the caller closes it.
 */
export async function openSafetensors(source: ByteSource): Promise<CheckpointReader> {
  const { dataStart, header } = await readSafetensorsHeader(source)
  return new SafetensorsReader(source, dataStart, header)
}

/** Reads and checks the header of a safetensors file. The ranges of its tensors count from `dataStart`. */
export async function readSafetensorsHeader(source: ByteSource): Promise<{ dataStart: number; header: Header }> {
  const { path, size } = source
  const length = await readHeaderLength(source)
  const text = decodeUtf8(path, await readExactly(source, 8, length, 'the header'), 'the header')
  return { dataStart: 8 + length, header: parseHeader(path, text, size - 8 - length) }
}

class SafetensorsReader extends FileReader<StoredTensor> {
  constructor(
    source: ByteSource,
    private readonly dataStart: number,
    { metadata, tensors }: Header,
  ) {
    super(source, metadata, tensors, { notices: float64Notice([...tensors.values()]) })
  }

  async readPart(name: string, index: number): Promise<HostTensor> {
    const tensor = this.find(name)
    const [parts, ...shape] = tensor.shape
    check(index >= 0 && index < parts, () => `tensor ${quote(name)} [${tensor.shape}] has no part ${index}`)
    const bytes = (tensor.end - tensor.begin) / parts
    const begin = tensor.begin + index * bytes
    return this.readTensor({ ...tensor, shape, begin, end: begin + bytes })
  }

  async readSlice(name: string, start: readonly number[], shape: readonly number[]): Promise<HostTensor> {
    const tensor = this.find(name)
    check(
      start.length === tensor.shape.length && shape.every((size, dim) => start[dim] + size <= tensor.shape[dim]),
      () => `tensor ${quote(name)} [${tensor.shape}] has no part [${shape}] at [${start}]`,
    )
    const elementBytes = sizeOf(tensor.shape) === 0 ? 0 : (tensor.end - tensor.begin) / sizeOf(tensor.shape)
    const { offsets, length } = contiguousRows(tensor.shape, start, shape)
    const bytes = await readRows(this.source, {
      offsets: offsets.map(offset => this.dataStart + tensor.begin + offset * elementBytes),
      length: length * elementBytes,
      what: `tensor ${quote(name)}`,
    })
    return this.tensorOf({ ...tensor, shape }, bytes)
  }

  async locate(name: string): Promise<StoredBytes | undefined> {
    const { dtype, shape, begin, end, isFloat64 } = this.find(name)
    const { file } = this.source
    if (!file || isFloat64) return undefined
    return { dtype, shape, file, offset: this.dataStart + begin, length: end - begin }
  }

  async locateRemote(name: string): Promise<RemoteRange | undefined> {
    const { dtype, begin, end, isFloat64 } = this.find(name)
    const { remote } = this.source
    if (!remote || isFloat64 || dtype === 'bool') return undefined
    return { file: remote, begin: this.dataStart + begin, end: this.dataStart + end, dataIn: range => range }
  }

  protected async readTensor(tensor: StoredTensor): Promise<HostTensor> {
    const { name, begin, end } = tensor
    const bytes = await readExactly(this.source, this.dataStart + begin, end - begin, `tensor ${quote(name)}`)
    return this.tensorOf(tensor, bytes)
  }

  private tensorOf({ name, dtype, shape, isFloat64 }: StoredTensor, bytes: Uint8Array): HostTensor {
    if (dtype === 'bool' && !isBoolData(bytes)) {
      throw new FileError(
        `${this.path}: tensor ${quote(name)} is BOOL and has bytes other than 0 and 1: write it again as U8`,
      )
    }
    return isFloat64 ? narrowFloat64(tensorFromBytes('int64', shape, bytes)) : tensorFromBytes(dtype, shape, bytes)
  }
}

async function readHeaderLength(source: ByteSource): Promise<number> {
  const { path, size: fileBytes } = source
  const again = 'it was cut off, or is not a safetensors file: copy or download it again'
  if (fileBytes === 0) throw new FileError(`${path}: the file is empty: copy or download it again`)
  if (fileBytes < 8)
    throw new FileError(
      `${path}: the file has ${fileBytes} bytes, and a safetensors file begins with 8 bytes of header length: ${again}`,
    )
  const length = headerLength(await readExactly(source, 0, 8, 'the header length'))
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
