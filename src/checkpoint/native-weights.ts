import { join } from 'node:path'
import { SwitchyardError } from '../base/errors.js'
import type { TaskConfig } from '../data/task.js'
import type { HostTensor } from '../base/host-tensor.js'
import type { StoredTensor } from '../base/stored-tensor.js'
import { sameShape } from '../engine/program/aval.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import { declareParameters, expertSpec } from '../model/parameters.js'
import type { ParameterSpec } from '../model/parameters.js'
import { partsOfPages, withExpertTensors } from './experts/as-tensors.js'
import { writeApart } from './experts/apart-write.js'
import type { StoredForm } from './experts/apart-write.js'
import { nativeExperts } from './experts/native.js'
import { PageCache } from './experts/page-cache.js'
import { pagesLimit } from './experts/pages-limit.js'
import { seededSource } from './experts/seeded.js'
import { expertStacks, nativeParts } from './experts/source.js'
import type { ExpertSource } from './experts/source.js'
import type { StoredBytes, TensorEntry, TensorInfo, TensorSource } from './format.js'
import type { Json } from './json.js'
import { saveModel } from './native.js'
import type { Checkpoint } from './native.js'
import { blockTypes, dequantizeHost, quantizedTypes } from './quantize.js'
import type { Bits, QuantizedTensor, QuantizedTypes, StoredQuantized } from './quantize.js'
import { storedTensor } from './stored-tensor.js'
import {
  checkComplete,
  expertsFromWhole,
  parameterEntries,
  quantizedTypesOf,
  readQuantizedTo,
  storedSpecs,
} from './weights.js'
import type { Mismatch, Weights } from './weights.js'

/** The configuration in `checkpoint.json` of weights that were written alone, without a training run. */
export interface NativeConfig {
  model: ModelConfig
  router: RouterConfig
  bits: Bits | null
  /** The maximum number of tokens of an answer, for weights of a training run; otherwise null. */
  maxNewTokens: number | null
  /** The task of the run, by which files are read as in its training; null if it is not known. */
  trainedOn: TaskConfig | null
  /** For a new model whose experts are made from a seed when they are read (experts/seeded.ts); otherwise null. */
  seededExperts: { readonly seed: number; readonly dtype: 'float32' | 'bfloat16' } | null
}

export interface NativeOptions {
  dtype?: ParameterSpec['dtype']
  /** The bits to quantize kernels to. Default: no quantizing. */
  bits?: Bits | null
  /** `apart`: the experts are written into a file of their own, expert by expert (experts/apart-index.ts). */
  experts?: 'together' | 'apart'
  /** For weights whose specs have no experts, because they are made from a seed when they are read. Default: null. */
  seededExperts?: NativeConfig['seededExperts']
  files?: Readonly<Record<string, Uint8Array>>
  /**
   * For weights of a training run: its codec, which contains the vocabularies; the maximum number of tokens of an
   * answer; and its task.
   */
  texts?: { readonly task: unknown; readonly maxNewTokens: number; readonly trainedOn?: TaskConfig | null }
}

/** The names of the two tensors that store a quantized parameter. */
const partsOf = (path: string): { values: string; scales: string } => ({
  values: `${path}/values`,
  scales: `${path}/scales`,
})

/** Writes weights in our own format. With `bits`, kernels are quantized. */
export async function writeNativeWeights(
  folder: string,
  weights: Weights,
  { dtype, bits = null, experts = 'together', seededExperts = null, files, texts }: NativeOptions = {},
): Promise<void> {
  const config = {
    model: { ...weights.model },
    router: { ...weights.router },
    bits,
    maxNewTokens: texts?.maxNewTokens ?? null,
    trainedOn: texts?.trainedOn ?? null,
    seededExperts,
  } satisfies NativeConfig
  const form = { dtype, bits }
  await saveModel(
    folder,
    { config: config as Json, task: texts?.task },
    nativeSource(weights, form, experts === 'apart' ? ({ role }) => role !== 'expertKernel' : () => true),
    { files, write: experts === 'apart' ? temp => writeApart(temp, weights, form) : undefined },
  )
}

/** The tensors of the parameters that `isIncluded` accepts, in the form in which they are stored. */
function nativeSource(
  weights: Weights,
  { dtype, bits }: StoredForm,
  isIncluded: (spec: ParameterSpec) => boolean,
): TensorSource {
  const specs = weights.specs.filter(isIncluded)
  const infos = specs.flatMap((spec): TensorInfo[] => {
    const types = bits && quantizedTypesOf(weights, spec, bits)
    const { values, scales } = partsOf(spec.path)
    return types
      ? [
          { name: values, dtype: types.dtype, shape: types.values },
          { name: scales, dtype: 'float32', shape: types.scales },
        ]
      : [{ name: spec.path, dtype: dtype ?? spec.dtype, shape: spec.shape }]
  })
  async function* entries(): AsyncGenerator<TensorEntry> {
    for (const spec of specs)
      yield* bits && quantizedTypesOf(weights, spec, bits)
        ? quantizedEntries(weights, spec, bits)
        : parameterEntries(weights, spec, dtype ?? spec.dtype)
  }
  return { infos, entries: entries() }
}

/** The values and the scales of a parameter that is quantized: as a whole, or expert by expert. */
async function* quantizedEntries(weights: Weights, spec: ParameterSpec, bits: Bits): AsyncGenerator<TensorEntry> {
  const names = partsOf(spec.path)
  const parts = spec.role === 'expertKernel' ? Array.from({ length: spec.shape[0] }, (_, i) => i) : [undefined]
  for (const part of parts) {
    const { values, scales } = (await readQuantizedTo(weights, spec, bits, part))!
    yield [names.values, values, part]
    yield [names.scales, scales, part]
  }
}

/** The weights in an open checkpoint of our own format. */
export function nativeWeights(
  checkpoint: Checkpoint,
  config: Pick<NativeConfig, 'model' | 'router' | 'bits'> & Partial<Pick<NativeConfig, 'seededExperts'>>,
): Weights {
  const { model, router, bits } = config
  const { folder } = checkpoint
  const seeded = seededIn(folder, config)
  const params = seeded ? withExpertTensors(checkpoint.params, partsOfPages(seeded(0))) : checkpoint.params
  const infos = new Map(params.list().map(info => [info.name, info]))
  const specs = new Map(declareParameters(model, router).map(spec => [spec.path, spec]))
  // Files of earlier versions hold 8 bits in blocks, as uint8.
  const typesOf = (spec: ParameterSpec): QuantizedTypes | null =>
    bits === null
      ? null
      : infos.get(partsOf(spec.path).values)?.dtype === 'uint8'
        ? blockTypes(spec, bits)
        : quantizedTypes(spec, bits)
  checkComplete(folder, mismatchOf([...specs.values()], infos, typesOf))
  const find = (path: string): ParameterSpec => {
    const spec = specs.get(path)
    if (!spec) throw new SwitchyardError(`${folder}: there is no parameter ${path} in this model`)
    return spec
  }
  const { readPart = expertsFromWhole(name => params.read(name)) } = params
  const readTensor = (name: string, expert?: number): Promise<HostTensor> =>
    expert === undefined ? params.read(name) : readPart(name, expert)
  const readQuantized = async (path: string, expert?: number): Promise<QuantizedTensor | null> => {
    const { values, scales } = partsOf(path)
    return typesOf(find(path)) && { values: await readTensor(values, expert), scales: await readTensor(scales, expert) }
  }
  const read = async (path: string, expert?: number): Promise<HostTensor> => {
    const spec = find(path)
    const quantized = await readQuantized(path, expert)
    if (!quantized) return readTensor(path, expert)
    return dequantizeHost(expert === undefined ? spec : expertSpec(spec), quantized, bits!)
  }
  const locate = async (name: string): Promise<StoredTensor | undefined> => {
    const whole = await params.locate?.(name)
    if (whole) return storedTensor([whole], { stacked: false, transposed: false })
    const pieces: StoredBytes[] = []
    for (let i = 0; params.locatePart && i < infos.get(name)!.shape[0]; i++) {
      const piece = await params.locatePart(name, i)
      if (!piece) return undefined
      pieces.push(piece)
    }
    return pieces.length > 0 ? storedTensor(pieces, { stacked: true, transposed: false }) : undefined
  }
  const locateQuantized = async (path: string): Promise<StoredQuantized | undefined> => {
    if (!typesOf(find(path))) return undefined
    const parts = partsOf(path)
    const [values, scales] = [await locate(parts.values), await locate(parts.scales)]
    return values && scales && { values, scales }
  }
  const stored = storedSpecs(model, router, spec => infos.get(spec.path)?.dtype ?? 'float32')
  return {
    path: folder,
    container: 'native',
    model,
    router,
    specs: stored,
    ...(bits === null ? {} : { bits, readQuantized, locateQuantized, quantizedTypes: typesOf }),
    read: path => read(path),
    readExpert: read,
    // Without `readPart`, the reader changes the tensors of the file: it adds adapters to them.
    ...(params.readPart && {
      experts: async () =>
        seeded?.(await pagesLimit(seededPages(folder))) ??
        checkpoint.experts?.() ??
        nativeExperts(
          folder,
          expertStacks(stored, spec => nativeParts(spec, typesOf)),
        ),
    }),
    locate: async path => (typesOf(find(path)) ? undefined : locate(path)),
    close: () => checkpoint.close(),
  }
}

/**
 * Opens the source of a new model's experts, which keeps pages of so many bytes on disk; null if they are stored. A
 * reader of all parameters, such as a conversion, keeps none.
 */
function seededIn(
  folder: string,
  { model, router, bits, seededExperts }: Parameters<typeof nativeWeights>[1],
): ((maxBytes: number) => ExpertSource) | null {
  if (!seededExperts) return null
  const specs = declareParameters(model, router)
  return maxBytes =>
    seededSource({
      name: folder,
      specs,
      ...seededExperts,
      bits,
      cache: new PageCache(seededPages(folder), maxBytes),
    })
}

/** Where experts that were made from a seed are kept, beside the model's other weights. */
const seededPages = (folder: string): string => join(folder, 'pages')

function mismatchOf(
  specs: readonly ParameterSpec[],
  infos: ReadonlyMap<string, TensorInfo>,
  typesOf: (spec: ParameterSpec) => QuantizedTypes | null,
): Mismatch {
  const mismatch: Mismatch = { missing: [], surplus: [], misshapen: [] }
  const known = new Set<string>()
  const expect = (name: string, shape: readonly number[], dtype?: string): void => {
    known.add(name)
    const info = infos.get(name)
    if (!info) mismatch.missing.push(name)
    else if (!sameShape(info.shape, shape) || (dtype ?? info.dtype) !== info.dtype)
      mismatch.misshapen.push(`${name} is ${info.dtype}[${info.shape}] instead of ${dtype ?? ''}[${shape}]`)
  }
  for (const spec of specs) {
    const types = typesOf(spec)
    const { values, scales } = partsOf(spec.path)
    if (types) {
      expect(values, types.values, types.dtype)
      expect(scales, types.scales, 'float32')
    } else expect(spec.path, spec.shape)
  }
  mismatch.surplus.push(...[...infos.keys()].filter(name => !known.has(name)))
  return mismatch
}
