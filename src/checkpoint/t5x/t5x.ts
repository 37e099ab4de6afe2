import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { check, FileError } from '../../base/errors.js'
import { bytesOf, partOf } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { FileReader } from '../file-reader.js'
import { readExactly } from '../byte-source.js'
import type { ByteSource } from '../byte-source.js'
import { firstBytes, isFile, openFrom, withPath } from '../files.js'
import { checkBools, listNames, quote } from '../format.js'
import type { CheckpointFormat, CheckpointReader } from '../format.js'
import { allocateTensor } from './allocate.js'
import { readMsgpack } from './msgpack.js'
import { convert, readStateTree } from './state-tree.js'
import type { InlineLeaf, StateLeaf, StateTree } from './state-tree.js'
import { writeT5x } from './write.js'
import { readZarr } from './zarr.js'

/** The bytes of one read of an array in the msgpack file. */
const pieceBytes = 64 * 2 ** 20

/**
 * T5X checkpoints: the folder `checkpoint_<step>`, the file `checkpoint` in it, or an old single file. Tensors are
 * named by their paths in the state: `target/encoder/...`, `state/param_states/...`, `state/step`. names/t5x.ts maps
 * them to our parameters.
 */
export const t5x = {
  name: 't5x',

  async detect(path: string): Promise<boolean> {
    if (await isOrbax(path)) return true
    const inFolder = await firstBytes(join(path, 'checkpoint'), 1)
    if (inFolder !== undefined) return beginsMap(inFolder)
    const start = await firstBytes(path, 10)
    return (
      start !== undefined &&
      beginsMap(start) &&
      /^.(version|optimizer|target|state)/.test(Buffer.from(start.subarray(1)).toString('latin1'))
    )
  },

  async open(path: string): Promise<CheckpointReader> {
    const file = await findFile(path)
    return openFrom(file, async source => new T5xReader(path, source, readStateTree(file, await readMsgpack(source))))
  },

  write: writeT5x,
} satisfies CheckpointFormat

/** A msgpack map's first byte. A TensorFlow checkpoint's `checkpoint` is text. */
const beginsMap = ([code]: Uint8Array): boolean => (code & 0xf0) === 0x80 || code === 0xde || code === 0xdf

/** Whether a folder holds Orbax's OCDBT files, directly or in the folder of the state. */
async function isOrbax(path: string): Promise<boolean> {
  for (const name of ['manifest.ocdbt', '_CHECKPOINT_METADATA', 'state/manifest.ocdbt', 'default/manifest.ocdbt']) {
    if (await isFile(join(path, name))) return true
  }
  return false
}

async function findFile(path: string): Promise<string> {
  if (await isOrbax(path))
    throw new FileError(`${path}: this is an Orbax checkpoint (OCDBT), which Switchyard does not read: ${convert}`)
  if (!(await withPath(path, () => stat(path))).isDirectory()) return path
  const file = join(path, 'checkpoint')
  if (await isFile(file)) return file
  const steps = (await withPath(path, () => readdir(path))).filter(name => /^checkpoint_\d+$/.test(name))
  const hint = steps.length > 0 ? `; choose one of those in this folder: ${listNames(steps)}` : ''
  throw new FileError(`${path}: there is no file "checkpoint", which every T5X checkpoint has${hint}`)
}

class T5xReader extends FileReader<StateLeaf> {
  /** `source` is the msgpack file; `path` may be the folder that holds it. */
  constructor(path: string, source: ByteSource, { metadata, leaves }: StateTree) {
    super(source, metadata, leaves, { path })
  }

  async readPart(name: string, index: number): Promise<HostTensor> {
    const leaf = this.find(name)
    const [parts, ...shape] = leaf.shape
    check(index >= 0 && index < parts, () => `tensor ${quote(name)} [${leaf.shape}] has no part ${index}`)
    const tensor =
      'pieces' in leaf
        ? await this.readInline({ ...leaf, shape }, index)
        : shape.length === 0
          ? partOf(await this.readTensor(leaf), index)
          : await readZarr(dirname(this.source.path), leaf, index)
    return checkBools(this.path, name, tensor)
  }

  protected async readTensor(leaf: StateLeaf): Promise<HostTensor> {
    return checkBools(
      this.path,
      leaf.name,
      'pieces' in leaf ? await this.readInline(leaf) : await readZarr(dirname(this.source.path), leaf),
    )
  }

  /** Reads a leaf of the given shape, which is one of `index + 1` or more equal parts if there is an index. */
  private async readInline(leaf: InlineLeaf, index = 0): Promise<HostTensor> {
    const tensor = allocateTensor(this.source.path, leaf)
    const target = bytesOf(tensor)
    const from = index * target.byteLength
    let start = 0
    for (const { offset, length } of leaf.pieces) {
      const end = Math.min(length, from + target.byteLength - start)
      for (let at = Math.max(0, from - start); at < end; at += pieceBytes) {
        const what = `tensor ${quote(leaf.name)}`
        const piece = await readExactly(this.source, offset + at, Math.min(pieceBytes, end - at), what)
        target.set(piece, start + at - from)
      }
      start += length
    }
    return tensor
  }
}
