import type { FileHandle } from 'node:fs/promises'
import { FileError } from '../base/errors.js'
import { formatCount } from '../base/format.js'
import { tensorFromBytes } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { writeFileAtomically } from './atomic.js'
import { FileReader } from './file-reader.js'
import { decodeUtf8, firstBytes, openFile, readExactly, withPath, writeExactly } from './files.js'
import { isBoolData, quote } from './format.js'
import type { CheckpointFormat } from './format.js'
import { headerLength, maxHeaderBytes, parseHeader } from './safetensors-header.js'
import type { Header, StoredTensor } from './safetensors-header.js'
import { safetensorsLayout } from './safetensors-layout.js'
import { delivered } from './tensor-source.js'

/**
 * Single .safetensors files. The reader is strict: it refuses what the format forbids, and tensor names with `__proto__`
 * or malformed Unicode.
 */
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
    const layout = safetensorsLayout(path, source.infos, options.metadata ?? {})
    await writeFileAtomically(
      path,
      async handle => {
        const { header, tensors } = layout
        await withPath(path, () => writeExactly(handle, header, 0))
        for await (const { info, bytes } of delivered(path, source.entries, tensors))
          await withPath(path, () => writeExactly(handle, bytes, header.byteLength + info.begin))
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
