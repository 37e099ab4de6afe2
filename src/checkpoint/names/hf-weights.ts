import { isFloat } from '../../base/dtypes.js'
import { ConfigError, FileError, SwitchyardError } from '../../base/errors.js'
import { castHost } from '../../base/host-tensor.js'
import { areT5s } from '../../base/special-ids.js'
import { sameShape } from '../../engine/program/aval.js'
import type { ModelConfig } from '../../model/config.js'
import { declareParameters } from '../../model/parameters.js'
import type { ParameterSpec } from '../../model/parameters.js'
import { expertStacks } from '../experts/source.js'
import { tensorExperts } from '../experts/tensors.js'
import { listNames, quote, quoteJson } from '../format.js'
import type { CheckpointReader, StoredBytes, TensorInfo } from '../format.js'
import type { Json } from '../json.js'
import { storedTensor } from '../stored-tensor.js'
import { checkComplete, storedSpecs } from '../weights.js'
import type { Mismatch, Weights } from '../weights.js'
import { configFromHf } from './hf-config.js'
import type { HfFiles } from './hf-files.js'
import { embeddingNames, embeddingsOf, firstEqualEmbeddings } from './hf-embeddings.js'
import type { HfEmbeddings } from './hf-embeddings.js'
import { otherHead } from './hf-heads.js'
import { isT5Name, withoutPrefixes } from './hf-names.js'
import { expertEntry, hfEntry, hfFamily, hfShape, readEntry } from './hf.js'
import type { HfEntry } from './hf.js'
import { generationFromHf } from './hf-generation.js'
import { checkedConfig, routerNotices } from './hf-settings.js'
import { withConfiguredLayers } from './hf-sizes.js'
import { specialIdsFromHf } from './hf-special-ids.js'

/**
 * Tensors of some published files that no parameter needs, and that transformers leaves out too: a table of relative
 * positions for cross attention, which has none.
 */
const ignored = /^decoder\.block\.\d+\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight$/

/**
 * The weights of a model under our paths, read from a checkpoint with Hugging Face's names. `config` is the parsed
 * config.json, `files` the files beside it that also give special ids and generation defaults, and `path` the name of
 * all in error messages. Throws a ConfigError if a setting is out of its range, and a FileError if the tensors are not
 * those that the configuration describes.
 */
export async function hfWeights(
  config: Json,
  file: CheckpointReader,
  path = file.path,
  files: Omit<HfFiles, 'config'> = {},
): Promise<Weights> {
  refuseQuantized(config, path)
  const settings = checkedConfig(config, path)
  const reader = withConfiguredLayers(settings, withoutPrefixes(file), path)
  const firstEqual = await firstEqualEmbeddings(reader)
  const { model: architecture, router } = configFromHf(config, reader.list(), path, firstEqual)
  const specialIds = specialIdsFromHf({ ...files, config }, architecture.vocabSize, path)
  const generation = generationFromHf({ ...files, config }, architecture.vocabSize, path)
  const model: ModelConfig = {
    ...architecture,
    ...(!areT5s(specialIds) && { specialIds }),
    ...(architecture.numDecoderLayers > 0 && Object.keys(generation).length > 0 && { generation }),
  }
  const infos = new Map(reader.list().map(info => [info.name, info]))
  const family = hfFamily(infos.keys())
  const embeddings = embeddingsOf(infos, firstEqual)!
  const entries = new Map(
    declareParameters(model, router).map(spec => [
      spec.path,
      { spec, entry: storedEntry(spec, hfEntry(spec, family), embeddings) },
    ]),
  )
  const { mismatch, unread } = compareNames(entries.values(), infos)
  refuseAdapters(mismatch.surplus, path)
  checkComplete(path, mismatch)
  const entryOf = (parameter: string): HfEntry => {
    const known = entries.get(parameter)
    if (!known) throw new SwitchyardError(`${path}: there is no parameter ${parameter} in this model`)
    return known.entry
  }
  const specs = storedSpecs(model, router, spec => {
    const [dtype, ...others] = entries.get(spec.path)!.entry.names.map(name => infos.get(name)!.dtype)
    return others.every(other => other === dtype) ? dtype : 'float32'
  })
  const dtypeOf = new Map(specs.map(spec => [spec.path, spec.dtype]))
  return {
    path,
    container: 'huggingface',
    model,
    router,
    notices: [
      ...(reader.notices ?? []),
      ...unread.notices,
      ...unusedTables(model, infos, embeddings, firstEqual),
      ...(model.numExperts > 0 ? routerNotices(settings) : []),
    ],
    otherHead: unread.head,
    specs,
    read: parameter => readEntry(reader, entryOf(parameter)),
    readExpert: async (parameter, expert) =>
      castHost(await readEntry(reader, expertEntry(entryOf(parameter), expert)), dtypeOf.get(parameter)!),
    ...(model.numExperts > 0 &&
      areAlike(specs, infos, entryOf) && {
        experts: async () =>
          tensorExperts({
            name: path,
            stacks: expertStacks(specs, ({ path: parameter, dtype, shape }) => [
              { kind: 'kernel', dtype, shape: hfShape(shape, entryOf(parameter)), isTransposed: true },
            ]),
            reader,
            tensorOf: ({ parameter }, expert) => entryOf(parameter).names[expert],
          }),
      }),
    readTransposed: (parameter, expert) => {
      const entry = entryOf(parameter)
      return readEntry(reader, {
        ...(expert === undefined ? entry : expertEntry(entry, expert)),
        transposed: !entry.transposed,
      })
    },
    locate: async parameter => {
      const entry = entryOf(parameter)
      const pieces = await Promise.all(entry.names.map(name => reader.locate?.(name)))
      const found = pieces.filter(piece => piece?.dtype === pieces[0]?.dtype) as StoredBytes[]
      return pieces[0] && found.length === pieces.length ? storedTensor(found, entry) : undefined
    },
    close: () => reader.close(),
  }
}

/** Whether the kernels of all experts of a stack are stored in its dtype, so that their pages have one layout. */
const areAlike = (
  specs: readonly ParameterSpec[],
  infos: ReadonlyMap<string, TensorInfo>,
  entryOf: (parameter: string) => HfEntry,
): boolean =>
  specs.every(
    ({ role, path, dtype }) =>
      role !== 'expertKernel' || entryOf(path).names.every(name => infos.get(name)!.dtype === dtype),
  )

/** The notice for embeddings of a file that neither a stack nor the head uses, because each has its own table. */
function unusedTables(
  { numDecoderLayers }: ModelConfig,
  infos: { has(name: string): boolean },
  { encoder, decoder, head }: HfEmbeddings,
  firstEqual: ReadonlyMap<string, string>,
): string[] {
  const used = numDecoderLayers > 0 ? [encoder, decoder, head] : [encoder]
  const unused = embeddingNames.filter(name => infos.has(name) && !used.includes(firstEqual.get(name) ?? name))
  return unused.length > 0
    ? [
        `${listNames(unused)} of the file have no effect, as in transformers 5: the model computes with the other embeddings of the file`,
      ]
    : []
}

/** Throws a ConfigError if config.json says that another program has quantized the weights. */
function refuseQuantized(config: Json, path: string): void {
  const settings = (config as { readonly quantization_config?: { readonly quant_method?: Json } | null } | null)
    ?.quantization_config
  if (settings)
    throw new ConfigError(
      `${path}: these weights are quantized (config.json has a quantization_config of ${quoteJson(settings.quant_method ?? 'an unknown method')}), which cannot be read: take the original weights, or save the model after model.dequantize()`,
    )
}

/** Throws a FileError if a file of weights holds adapters among its tensors, as the state_dict of a PeftModel does. */
function refuseAdapters(names: readonly string[], path: string): void {
  const adapter = names.find(name => /\.(lora_[A-Za-z_]+|base_layer|modules_to_save|original_module)\./.test(name))
  if (adapter !== undefined)
    throw new FileError(
      `${path}: adapters of PEFT are among the model's own tensors (${quote(adapter)}): save the adapters alone with save_pretrained of the PeftModel, or the model with merge_and_unload()`,
    )
}

/** The entry of a parameter in a file whose embeddings and head may be in tensors of other names. */
export function storedEntry({ role, place }: ParameterSpec, entry: HfEntry, embeddings: HfEmbeddings): HfEntry {
  if (role === 'embedding') return { ...entry, names: [embeddings[place.stack ?? 'encoder']] }
  if (role === 'outputProjection') return { ...entry, names: [embeddings.head] }
  return entry
}

/** The tensors of a file that are not read, although the file is read. */
interface Unread {
  readonly notices: readonly string[]
  /** What the head among them is for. */
  readonly head?: string
}

/**
 * Compares the tensors of a file with those of the model. A tensor within the encoder or the decoder that no parameter
 * is read from is a mismatch, since the file's model computes with it. Others are not read.
 */
function compareNames(
  entries: Iterable<{ spec: ParameterSpec; entry: HfEntry }>,
  infos: ReadonlyMap<string, TensorInfo>,
): { mismatch: Mismatch; unread: Unread } {
  const known = new Set(embeddingNames)
  const mismatch: Mismatch = { missing: [], surplus: [], misshapen: [] }
  for (const { spec, entry } of entries) {
    const expected = hfShape(spec.shape, entry)
    for (const name of entry.names) {
      known.add(name)
      const info = infos.get(name)
      if (!info) mismatch.missing.push(name)
      else if (!sameShape(info.shape, expected))
        mismatch.misshapen.push(`${name} is [${info.shape}] instead of [${expected}]`)
      else if (!isFloat(info.dtype)) mismatch.misshapen.push(`${name} is ${info.dtype} instead of floating point`)
    }
  }
  const surplus = [...infos.keys()].filter(name => !known.has(name))
  const others = surplus.filter(name => !isT5Name(name))
  mismatch.surplus = surplus.filter(name => isT5Name(name) && !ignored.test(name))
  // If the file is refused, the message lists these too.
  if (Object.values(mismatch).some(names => names.length > 0)) mismatch.surplus.push(...others)
  return {
    mismatch,
    unread: {
      head: otherHead(others),
      notices: unreadNotices(
        others,
        surplus.find(name => ignored.test(name)),
      ),
    },
  }
}

/** What to say of tensors that are no part of the model, and of the table that `ignored` matches. */
export function unreadNotices(others: readonly string[], table?: string): string[] {
  const head = otherHead(others)
  const what = head === undefined ? 'these tensors are no part of the model and are' : `the head for ${head} is`
  return [
    ...(others.length > 0 ? [`${what} not read: ${listNames(others)}`] : []),
    ...(table === undefined
      ? []
      : [`${quote(table)} is not read: cross attention has no relative positions (transformers leaves it out too)`]),
  ]
}
