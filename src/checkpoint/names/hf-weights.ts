import { SwitchyardError } from '../../base/errors.js'
import { areT5s } from '../../base/special-ids.js'
import { sameShape } from '../../engine/program/aval.js'
import { declareParameters } from '../../model/parameters.js'
import type { ParameterSpec } from '../../model/parameters.js'
import type { CheckpointReader, TensorInfo } from '../format.js'
import type { Json } from '../json.js'
import { checkComplete, storedSpecs } from '../weights.js'
import type { Mismatch, Weights } from '../weights.js'
import { configFromHf } from './hf-config.js'
import type { HfFiles } from './hf-files.js'
import { embeddingNames, embeddingsOf, firstEqualEmbeddings } from './hf-embeddings.js'
import type { HfEmbeddings } from './hf-embeddings.js'
import { hfEntry, hfFamily, hfShape, readEntry } from './hf.js'
import type { HfEntry } from './hf.js'
import { specialIdsFromHf } from './hf-special-ids.js'

/**
 * A tensor of some published files that no parameter needs, and that transformers leaves out too: a table for cross
 * attention, which has no position bias.
 */
const ignored = ['decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight']

/**
 * The weights of a model under our paths, read from a checkpoint with Hugging Face's names. `config` is the parsed
 * config.json, `files` the files beside it that also give special ids, and `path` the name of all in error messages.
 * Throws a FileError if the tensors are not those that the configuration describes.
 */
export async function hfWeights(
  config: Json,
  reader: CheckpointReader,
  path = reader.path,
  files: Pick<HfFiles, 'generationConfig' | 'tokenizerConfig'> = {},
): Promise<Weights> {
  const firstEqual = await firstEqualEmbeddings(reader)
  const { model: architecture, router } = configFromHf(config, reader.list(), path, firstEqual)
  const specialIds = specialIdsFromHf({ ...files, config }, architecture.vocabSize, path)
  const model = areT5s(specialIds) ? architecture : { ...architecture, specialIds }
  const infos = new Map(reader.list().map(info => [info.name, info]))
  const family = hfFamily(infos.keys())
  const embeddings = embeddingsOf(infos, firstEqual)!
  const entries = new Map(
    declareParameters(model, router).map(spec => [
      spec.path,
      { spec, entry: storedEntry(spec, hfEntry(spec, family), embeddings) },
    ]),
  )
  checkComplete(path, mismatchOf(entries.values(), infos))
  const entryOf = (parameter: string): HfEntry => {
    const known = entries.get(parameter)
    if (!known) throw new SwitchyardError(`${path}: there is no parameter ${parameter} in this model`)
    return known.entry
  }
  return {
    path,
    container: 'huggingface',
    model,
    router,
    specs: storedSpecs(model, router, spec => infos.get(entries.get(spec.path)!.entry.names[0])!.dtype),
    read: parameter => readEntry(reader, entryOf(parameter)),
    readTransposed: parameter => {
      const entry = entryOf(parameter)
      return readEntry(reader, { ...entry, transposed: !entry.transposed })
    },
    close: () => reader.close(),
  }
}

/** The entry of a parameter in a file whose embeddings and head may be in tensors of other names. */
function storedEntry({ role, place }: ParameterSpec, entry: HfEntry, embeddings: HfEmbeddings): HfEntry {
  if (role === 'embedding') return { ...entry, names: [embeddings[place.stack ?? 'encoder']] }
  if (role === 'outputProjection') return { ...entry, names: [embeddings.head] }
  return entry
}

function mismatchOf(
  entries: Iterable<{ spec: ParameterSpec; entry: HfEntry }>,
  infos: ReadonlyMap<string, TensorInfo>,
): Mismatch {
  const known = new Set([...ignored, ...embeddingNames])
  const mismatch: Mismatch = { missing: [], surplus: [], misshapen: [] }
  for (const { spec, entry } of entries) {
    const expected = hfShape(spec.shape, entry)
    for (const name of entry.names) {
      known.add(name)
      const info = infos.get(name)
      if (!info) mismatch.missing.push(name)
      else if (!sameShape(info.shape, expected))
        mismatch.misshapen.push(`${name} is [${info.shape}] instead of [${expected}]`)
    }
  }
  for (const name of infos.keys()) if (!known.has(name)) mismatch.surplus.push(name)
  return mismatch
}
