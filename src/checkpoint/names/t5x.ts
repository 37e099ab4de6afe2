/**
 * Maps T5X's state to our parameters. Paths are the same below `target/`, but T5X may stack ("scan") the layers of a
 * stack.
 */
import { lastPromise } from '../../base/promise-cache.js'
import { allocate } from '../../base/dtypes.js'
import { FileError } from '../../base/errors.js'
import { hostFrom, partOf, sizeOf } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { listItems, quote, unknownTensor } from '../format.js'
import type { CheckpointReader, TensorEntry, TensorInfo, TensorSource } from '../format.js'

/** Where one of our parameters is stored: in a tensor of its own, or as one layer of a stacked tensor. */
interface Entry extends TensorInfo {
  readonly stored: string
  /** The index on axis 1, if the tensor is stacked. */
  readonly layer: number | undefined
}

/** The axis of the layers in T5X's stacked tensors. */
const layersAxis = 1
const maxLayers = 10_000

/**
 * The parameters of an open T5X checkpoint under our paths: the tensors below `root`, without that prefix. Stacked
 * layers are separated: `encoder/encoder/subblock_1/mlp/...` of shape [a, blocks, ...] is `encoder/layers_<1 + 2 *
 * block>/mlp/...` of shape [a, ...]. The last stacked tensor is kept in memory, so reading in the order of `list()`
 * reads each once. Closing the result closes the checkpoint.
 */
export function t5xParameters(reader: CheckpointReader, root: 'target/' | '' = 'target/'): CheckpointReader {
  const entries = entriesOf(reader, root)
  const stacked = lastPromise((name: string) => reader.read(name))
  return {
    path: reader.path,
    metadata: reader.metadata,
    list: () => Array.from(entries.values(), ({ name, dtype, shape }) => ({ name, dtype, shape })),
    async read(name) {
      const entry = entries.get(name)
      if (entry === undefined) throw unknownTensor(reader.path, name, entries)
      return entry.layer === undefined
        ? reader.read(entry.stored)
        : layerOf(await stacked.get(entry.stored), entry.layer)
    },
    async readPart(name, index) {
      const entry = entries.get(name)
      if (entry === undefined) throw unknownTensor(reader.path, name, entries)
      if (entry.layer === undefined && reader.readPart) return reader.readPart(entry.stored, index)
      return partOf(await this.read(name), index)
    },
    close() {
      stacked.clear()
      return reader.close()
    },
  }
}

/**
 * A source of a T5X checkpoint's tensors, without optimizer state: the parameters, and the training step that they are
 * of.
 */
export function t5xSource({ infos, entries }: TensorSource, step: number): TensorSource {
  const stepTensor = hostFrom('int32', [], [step])
  async function* state(): AsyncGenerator<TensorEntry> {
    yield ['state/step', stepTensor]
    for await (const [name, ...tensor] of entries) yield [`target/${name}`, ...tensor]
  }
  return {
    infos: [
      { name: 'state/step', dtype: 'int32', shape: [] },
      ...infos.map(info => ({ ...info, name: `target/${info.name}` })),
    ],
    entries: state(),
  }
}

function entriesOf(reader: CheckpointReader, root: string): Map<string, Entry> {
  const infos = reader.list().filter(({ name }) => name.startsWith(root))
  if (infos.length === 0)
    throw new FileError(
      `${reader.path}: there are no parameters in it; a T5X checkpoint has a model's under the names "${root}..."`,
    )
  const blocks = subblocksOf(reader.path, infos, root)
  const entries = new Map<string, Entry>()
  const add = (entry: Entry): void => {
    if (entries.has(entry.name))
      throw new FileError(
        `${reader.path}: both ${quote(entries.get(entry.name)!.stored)} and ${quote(entry.stored)} are parameter ${quote(entry.name)}: the checkpoint holds two models`,
      )
    entries.set(entry.name, entry)
  }
  for (const { name: stored, dtype, shape } of infos) {
    const path = stored.slice(root.length)
    const scanned = parseScanned(path)
    if (scanned === undefined) {
      add({ name: path, dtype, shape, stored, layer: undefined })
      continue
    }
    const { stack, subblock, rest } = scanned
    const { count, layers } = blocks.get(stack)!
    if (!(layers <= maxLayers) || shape[layersAxis] !== layers)
      throw new FileError(
        `${reader.path}: tensor ${quote(stored)} has the shape [${shape}], and axis ${layersAxis} is that of the ${quote(stack)}'s scanned layers, of which another tensor has ${layers}: the checkpoint is broken`,
      )
    const layerShape = shape.toSpliced(layersAxis, 1)
    for (let i = 0; i < layers; i++)
      add({ name: `${stack}/layers_${i * count + subblock}/${rest}`, dtype, shape: layerShape, stored, layer: i })
  }
  return entries
}

/** Parses `encoder/encoder/subblock_1/rest`. The subblock is absent if a scanned block is one layer. */
function parseScanned(path: string): { stack: string; subblock: number; rest: string } | undefined {
  const match = /^(encoder|decoder)\/\1\/(?:subblock_(0|[1-9]\d{0,5})\/)?(.+)$/.exec(path)
  return match === null ? undefined : { stack: match[1], subblock: Number(match[2] ?? 0), rest: match[3] }
}

/** For each scanned stack, the number of layers in one block and the number of blocks. */
function subblocksOf(
  path: string,
  infos: readonly TensorInfo[],
  root: string,
): Map<string, { count: number; layers: number }> {
  const found = new Map<string, { subblocks: Set<number>; layers: number }>()
  for (const { name, shape } of infos) {
    const scanned = parseScanned(name.slice(root.length))
    if (scanned === undefined) continue
    const stack = found.get(scanned.stack) ?? { subblocks: new Set(), layers: shape[layersAxis] }
    stack.subblocks.add(scanned.subblock)
    found.set(scanned.stack, stack)
  }
  return new Map(
    Array.from(found, ([stack, { subblocks, layers }]) => {
      const count = Math.max(...subblocks) + 1
      if (subblocks.size !== count)
        throw new FileError(
          `${path}: the scanned blocks of the ${quote(stack)} have the layers ${listItems([...subblocks].sort((a, b) => a - b))}: some are missing`,
        )
      return [stack, { count, layers }]
    }),
  )
}

/** A copy of one layer of a stacked tensor [a, layers, ...]: [a, ...]. */
function layerOf({ dtype, shape, data }: HostTensor, layer: number): HostTensor {
  const [outer, layers, ...rest] = shape
  const inner = sizeOf(rest)
  const out = allocate(dtype, outer * inner)
  for (let i = 0; i < outer; i++) {
    const start = (i * layers + layer) * inner
    // The arrays have one dtype. The cast is needed since set() has no type for number and bigint arrays together.
    ;(out as Float32Array).set(data.subarray(start, start + inner) as Float32Array, i * inner)
  }
  return { dtype, shape: [outer, ...rest], data: out }
}
