import { dtypes } from '../../base/dtypes.js'
import { FileError } from '../../base/errors.js'
import { formatBytes, formatCount } from '../../base/format.js'
import { sizeOf, tensorFromBytes } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { readExactly, sameBytes } from '../byte-source.js'
import type { ByteSource } from '../byte-source.js'
import { FileReader } from '../file-reader.js'
import { checkBools, float64Notice, narrowFloat64, quote } from '../format.js'
import type { CheckpointReader, RemoteRange, StoredBytes } from '../format.js'
import { gather, isContiguous } from './gather.js'
import { maxPickleBytes } from './pickle.js'
import { readStateDict, storageBytes } from './state-dict.js'
import type { StridedTensor } from './state-dict.js'
import { endOf, ZipArchive } from './zip.js'
import type { ZipEntry } from './zip.js'

// A file of torch.save (torch 1.6 or newer) is a zip archive: NAME/data.pkl describes the tensors, NAME/data/<key>
// holds the bytes of each storage, NAME/byteorder is their byte order.

/**
 * Opens a file of `torch.save` that holds a state_dict. Nothing in it is run. The reader's `close` closes the source.
 * If opening fails, the caller closes it.
 */
export async function openTorch(source: ByteSource): Promise<CheckpointReader> {
  await refuseOtherKinds(source)
  const contents = new Contents(source, await ZipArchive.open(source))
  await contents.checkByteOrder()
  const { tensors, notices } = readStateDict(source.path, await contents.readWhole('data.pkl', maxPickleBytes))
  for (const tensor of tensors.values()) contents.storageOf(tensor)
  return new TorchReader(source, contents, tensors, [...notices, ...float64Notice([...tensors.values()])])
}

/** The magic number at the start of files of torch.save before 1.6. */
const oldStart = new Uint8Array([0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19])

async function refuseOtherKinds(source: ByteSource): Promise<void> {
  const { path, size } = source
  if (size === 0) throw new FileError(`${path}: the file is empty: copy or download it again`)
  if (sameBytes(await readExactly(source, 0, Math.min(size, oldStart.length), 'its first bytes'), oldStart)) {
    throw new FileError(
      `${path}: this file has the layout of torch before 1.6: load it with a newer torch and save it again, or as safetensors`,
    )
  }
}

/** The entries of one archive. All their names begin with the same folder, whose name is arbitrary. */
class Contents {
  private readonly root: string

  private readonly path: string

  constructor(
    private readonly source: ByteSource,
    private readonly archive: ZipArchive,
  ) {
    const { path } = source
    this.path = path
    const roots = Array.from(archive.entries.keys()).filter(name => /^[^/]+\/data\.pkl$/.test(name))
    if (roots.length !== 1)
      throw new FileError(
        `${path}: the archive has ${roots.length} entries NAME/data.pkl, and a file of torch.save has one: this is not one, or it is broken`,
      )
    this.root = roots[0].slice(0, -'data.pkl'.length)
  }

  async checkByteOrder(): Promise<void> {
    if (!this.archive.entries.has(`${this.root}byteorder`)) return // torch before 2.1 does not write it
    const order = String.fromCharCode(...(await this.readWhole('byteorder', 16)))
    if (order !== 'little')
      throw new FileError(
        `${this.path}: its byte order is ${quote(order)}, and Switchyard reads "little" only: save it again on another machine`,
      )
  }

  async readWhole(name: string, limit: number): Promise<Uint8Array> {
    const entry = this.archive.entries.get(this.root + name)!
    if (entry.bytes > limit)
      throw new FileError(
        `${this.path}: its ${name} has ${formatBytes(entry.bytes)}, more than the ${formatBytes(limit)} that it may have: this is not an honest file; if it is, split it`,
      )
    return readExactly(this.source, await this.archive.dataStart(entry), entry.bytes, name)
  }

  /** The entry with a tensor's storage. Throws unless it has the size that the pickle states. */
  storageOf(tensor: StridedTensor): ZipEntry {
    const entry = this.archive.entries.get(`${this.root}data/${tensor.key}`)
    const wrong = (message: string): FileError =>
      new FileError(
        `${this.path}: tensor ${quote(tensor.name)}: ${message}: the file is broken, copy or download it again`,
      )
    if (entry === undefined) throw wrong(`its storage ${quote(tensor.key)} is not in the archive`)
    const bytes = storageBytes(tensor)
    if (entry.bytes !== bytes)
      throw wrong(
        `its storage ${quote(tensor.key)} should have ${formatCount(bytes)} bytes and has ${formatCount(entry.bytes)}`,
      )
    return entry
  }

  /** See `CheckpointReader.locate`. A view of a storage that has gaps or another order is not located. */
  async locate(tensor: StridedTensor): Promise<StoredBytes | undefined> {
    const { dtype, shape, strides, offset, isFloat64 } = tensor
    const { file } = this.source
    if (!file || isFloat64 || !isContiguous(shape, strides)) return undefined
    const width = dtypes[dtype].bytes
    const start = await this.archive.dataStart(this.storageOf(tensor))
    return { dtype, shape, file, offset: start + offset * width, length: sizeOf(shape) * width }
  }

  /** See `CheckpointReader.locateRemote`. A view of a part of a storage is not located. */
  locateRemote(tensor: StridedTensor): RemoteRange | undefined {
    const { dtype, shape, strides, storageLength, isFloat64 } = tensor
    const { remote } = this.source
    const isWhole = sizeOf(shape) === storageLength && isContiguous(shape, strides)
    if (!remote || isFloat64 || dtype === 'bool' || !isWhole) return undefined
    const entry = this.storageOf(tensor)
    return {
      file: remote,
      begin: entry.begin,
      end: endOf(entry),
      dataIn: range => {
        const start = this.archive.dataStartIn(entry, range) - entry.begin
        return range.subarray(start, start + entry.bytes)
      },
    }
  }

  async readTensor(tensor: StridedTensor): Promise<HostTensor> {
    const remote = this.locateRemote(tensor)
    if (remote) {
      const { begin, end } = remote
      const range = await readExactly(this.source, begin, end - begin, `tensor ${quote(tensor.name)}`)
      return tensorFromBytes(tensor.dtype, tensor.shape, remote.dataIn(range))
    }
    const start = await this.archive.dataStart(this.storageOf(tensor))
    const read = (position: number, length: number): Promise<Uint8Array> =>
      readExactly(this.source, start + position, length, `tensor ${quote(tensor.name)}`)
    return tensor.isFloat64 ? narrowFloat64(await gather({ ...tensor, dtype: 'int64' }, read)) : gather(tensor, read)
  }
}

class TorchReader extends FileReader<StridedTensor> {
  constructor(
    source: ByteSource,
    private readonly contents: Contents,
    tensors: ReadonlyMap<string, StridedTensor>,
    notices: readonly string[],
  ) {
    super(source, new Map(), tensors, { notices })
  }

  async locate(name: string): Promise<StoredBytes | undefined> {
    return this.contents.locate(this.find(name))
  }

  async locateRemote(name: string): Promise<RemoteRange | undefined> {
    return this.contents.locateRemote(this.find(name))
  }

  protected async readTensor(info: StridedTensor): Promise<HostTensor> {
    return checkBools(this.path, info.name, await this.contents.readTensor(info))
  }
}
