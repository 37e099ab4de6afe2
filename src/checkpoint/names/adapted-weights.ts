import { FileError, SwitchyardError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { castHost } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import * as np from '../../engine/api/np.js'
import { fromHost, hostView } from '../../engine/api/tensor.js'
import { sameShape } from '../../engine/program/aval.js'
import type { ParameterSpec } from '../../model/parameters.js'
import { declareParameters } from '../../model/parameters.js'
import { listItems, listNames, quote, viewOf } from '../format.js'
import type { CheckpointReader, TensorInfo } from '../format.js'
import type { Weights } from '../weights.js'
import { embeddingsWith, tablesOf } from './adapted-embeddings.js'
import { embeddingNames, headName } from './hf-embeddings.js'
import { otherHead } from './hf-heads.js'
import { isT5Name } from './hf-names.js'
import { hfView } from './hf-view.js'
import { storedEntry, unreadNotices } from './hf-weights.js'
import { expertEntry, hfEntry, hfShape, readEntry } from './hf.js'
import type { HfEntry, HfFamily } from './hf.js'
import type { LowRank, PeftAdapter, TokenRows } from './peft-read.js'

/**
 * The weights of a base with an adapter of PEFT merged into them, as the adapted model of PEFT computes: W + scale * B
 * A, in float32, and the weights of `modules_to_save` in place of the base's. Weights that the adapter leaves alone are
 * read from the base as they are stored. Closing closes both. Throws a FileError if the adapter does not fit the base.
 */
export async function adaptedWeights(base: Weights, saved: PeftAdapter): Promise<Weights> {
  const adapter = { ...saved, ...tablesOf(base.model, saved) }
  const family = familyOf(base, adapter)
  const view = hfView(base, family)
  const reader = adaptedReader(view, adapter)
  const infos = new Map(reader.list().map(info => [info.name, info]))
  const touched = new Set([...adapter.lowRank.keys(), ...adapter.replaced.keys(), ...adapter.rows.keys()])
  const others = [...touched].filter(name => !isT5Name(name))
  checkNames(base, view, adapter)

  const { model, embeddings, unused } = await embeddingsWith(base, reader, touched)
  // A copy of the base's embedding also replaces tensors that the adapter does not train.
  const ownUnused = unused.filter(name => saved.lowRank.has(name) || saved.replaced.has(name) || saved.rows.has(name))
  const stored = new Map(base.specs.map(spec => [spec.path, spec]))
  const entries = new Map(
    declareParameters(model, base.router).map(spec => {
      const entry = storedEntry(spec, hfEntry(spec, family), embeddings)
      const own = stored.get(spec.path)
      const isBase = own !== undefined && !entry.names.some(name => touched.has(name))
      return [spec.path, { spec: { ...spec, dtype: isBase ? own.dtype : ('float32' as const) }, entry, isBase }]
    }),
  )
  checkShapes(adapter.path, infos, entries.values())
  const find = (path: string): { entry: HfEntry; isBase: boolean } => {
    const found = entries.get(path)
    if (found === undefined) throw new SwitchyardError(`${adapter.path}: there is no parameter ${path} in this model`)
    return found
  }
  const { readTransposed } = base
  return {
    path: adapter.path,
    container: base.container,
    model,
    router: base.router,
    notices: [
      ...(base.notices ?? []).map(notice => `${base.path}: ${notice}`),
      ...noticesOf(base, adapter, ownUnused, others),
    ],
    otherHead: otherHead(others) ?? base.otherHead,
    specs: Array.from(entries.values(), ({ spec }) => spec),
    read: path => {
      const { entry, isBase } = find(path)
      return isBase ? base.read(path) : readEntry(reader, entry)
    },
    readExpert: (path, expert) => {
      const { entry, isBase } = find(path)
      return isBase ? base.readExpert(path, expert) : readEntry(reader, expertEntry(entry, expert))
    },
    readTransposed:
      readTransposed &&
      ((path, expert) => {
        const { entry, isBase } = find(path)
        if (isBase) return readTransposed(path, expert)
        const part = expert === undefined ? entry : expertEntry(entry, expert)
        return readEntry(reader, { ...part, transposed: !part.transposed })
      }),
    close: async () => {
      await base.close()
      await adapter.close()
    },
  }
}

/** How the adapter names feed-forward modules; if it has none of them, as the base's family does. */
function familyOf(base: Weights, { lowRank, replaced }: PeftAdapter): HfFamily {
  const names = [...lowRank.keys(), ...replaced.keys()]
  if (names.some(name => name.includes('.DenseReluDense.'))) return 't5'
  return names.some(name => name.includes('.mlp.')) || base.model.numExperts > 0 ? 'switch' : 't5'
}

/** The base's tensors, in float32, with those of the adapter merged into them when they are read. */
function adaptedReader(view: CheckpointReader, adapter: PeftAdapter): CheckpointReader {
  const { lowRank, replaced, rows } = adapter
  return viewOf(view, {
    path: adapter.path,
    list: () => view.list().map(info => ({ ...info, shape: replaced.get(info.name)?.shape ?? info.shape })),
    read: async name => {
      const other = replaced.get(name)
      const weight = other === undefined ? await view.read(name) : castHost(await adapter.read(other), 'float32')
      const added = lowRank.get(name)
      const adapted = added === undefined ? weight : await addLowRank(weight, added, adapter)
      const vectors = rows.get(name)
      return vectors === undefined ? adapted : replaceRows(adapted, vectors, adapter)
    },
  })
}

/** W + scale * B A, in float32; for an embedding W [vocab, dModel], the product is transposed. */
async function addLowRank(
  weight: HostTensor,
  { a, b, scale, isEmbedding }: LowRank,
  adapter: PeftAdapter,
): Promise<HostTensor> {
  const [left, right] = [b, a].map(async info => fromHost(castHost(await adapter.read(info), 'float32')))
  const product = np.matmul(await left, await right) // [out, in], or [dModel, vocab]
  const added = np.multiply(isEmbedding ? np.transpose(product) : product, scale)
  return hostView(np.add(fromHost(weight), added))
}

/** A table of tokens [vocab, dModel] with the vectors of some tokens replaced. */
async function replaceRows(table: HostTensor, { info, tokens }: TokenRows, adapter: PeftAdapter): Promise<HostTensor> {
  const vectors = castHost(await adapter.read(info), 'float32').data as Float32Array
  const data = Float32Array.from(table.data as Float32Array)
  const width = table.shape[1]
  tokens.forEach((token, i) => data.set(vectors.subarray(i * width, (i + 1) * width), token * width))
  return { ...table, data }
}

/** Throws a FileError unless the base has every weight that the adapter changes, in the shape that it needs. */
function checkNames(base: Weights, view: CheckpointReader, { path, lowRank, replaced, rows }: PeftAdapter): void {
  const shapes = new Map(view.list().map(info => [info.name, info.shape]))
  const names = [...lowRank.keys(), ...rows.keys(), ...[...replaced.keys()].filter(isT5Name)]
  const absent = names.filter(name => !shapes.has(name))
  if (absent.length > 0)
    throw new FileError(
      `${path}: the adapter changes weights that its base ${base.path} does not have: ${listNames(absent)}`,
    )
  for (const [name, { info, tokens }] of rows) {
    const [vocab, width] = replaced.get(name)?.shape ?? shapes.get(name)!
    if (info.shape[1] !== width || tokens.some(token => token >= vocab))
      throw new FileError(
        `${path}: the adapter's vectors of tokens for ${quote(name)} do not fit it: it is [${[vocab, width]}], and they are [${info.shape}] for the tokens ${listItems(tokens)}`,
      )
  }
  for (const [name, { a, b, isEmbedding }] of lowRank) {
    const shape = replaced.get(name)?.shape ?? shapes.get(name)!
    const product = isEmbedding ? [a.shape[1], b.shape[0]] : [b.shape[0], a.shape[1]]
    if (!sameShape(product, shape))
      throw new FileError(
        `${path}: the adapter's product for ${quote(name)} is [${product}], and this weight of its base ${base.path} is [${shape}]: the adapter belongs to another base`,
      )
  }
}

/** Throws a FileError unless the tensors have the shapes that the parameters need. */
function checkShapes(
  path: string,
  infos: ReadonlyMap<string, TensorInfo>,
  entries: Iterable<{ spec: ParameterSpec; entry: HfEntry }>,
): void {
  for (const { spec, entry } of entries)
    for (const name of entry.names) {
      const expected = hfShape(spec.shape, entry)
      const { shape } = infos.get(name)!
      if (!sameShape(shape, expected))
        throw new FileError(`${path}: with the adapter, ${quote(name)} is [${shape}] instead of [${expected}]`)
    }
}

function noticesOf(
  base: Weights,
  { lowRank, replaced, rows }: PeftAdapter,
  unused: readonly string[],
  others: readonly string[],
): string[] {
  const replacedCount = replaced.size - others.length
  const what = [
    ...(lowRank.size > 0 ? [`LoRA is added to ${formatCount(lowRank.size)} tensors`] : []),
    ...(rows.size > 0 ? [`vectors of single tokens are replaced in ${formatCount(rows.size)}`] : []),
    ...(replacedCount > 0 ? [`${formatCount(replacedCount)} are the adapter's own`] : []),
  ]
  const { sharedEmbedding, tiedLogits } = base.model
  const isTied = (name: string): boolean => tiedLogits || (sharedEmbedding && name !== headName)
  const added = embeddingNames.filter(name => lowRank.has(name) && isTied(name) && !unused.includes(name))
  return [
    `the adapter is merged into its base ${base.path}: ${what.join(', ')}`,
    ...(unused.length > 0
      ? [
          `the adapter changes ${listNames(unused)} without effect, as in PEFT: the adapted model has other tables in the stacks and the head`,
        ]
      : []),
    ...(added.length > 0
      ? [
          `the adapter changes ${listNames(added)} and no tensor that is tied to it, as in training; merge_and_unload of PEFT would change those too`,
        ]
      : []),
    ...unreadNotices(others),
  ]
}
