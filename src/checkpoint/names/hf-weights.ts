import { SwitchyardError } from '../../base/errors.js'
import { sameShape } from '../../engine/program/aval.js'
import type { ModelConfig } from '../../model/config.js'
import { declareParameters } from '../../model/parameters.js'
import type { ParameterSpec } from '../../model/parameters.js'
import type { CheckpointReader, TensorInfo } from '../format.js'
import type { Json } from '../json.js'
import { checkComplete, storedSpecs } from '../weights.js'
import type { Mismatch, Weights } from '../weights.js'
import { configFromHf } from './hf-config.js'
import { hfEntry, hfFamily, hfShape, readEntry } from './hf.js'
import type { HfEntry } from './hf.js'

/**
 * Tensors of some published files that no parameter needs: copies of the token embedding, and a table for cross
 * attention, which has no position bias.
 */
const ignored = [
  'encoder.embed_tokens.weight',
  'decoder.embed_tokens.weight',
  'decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight',
]

/**
 * The weights of a model under our paths, read from a checkpoint with Hugging Face's names. `config` is the parsed
 * config.json. `path` is the name of both in error messages. Throws a FileError if the tensors are not those that the
 * configuration describes.
 */
export function hfWeights(config: Json, reader: CheckpointReader, path = reader.path): Weights {
  const { model, router } = configFromHf(config, reader.list(), path)
  const infos = new Map(reader.list().map(info => [info.name, info]))
  const family = hfFamily(infos.keys())
  const entries = new Map(
    declareParameters(model, router).map(spec => [spec.path, { spec, entry: hfEntry(spec, family) }]),
  )
  checkComplete(path, mismatchOf(entries.values(), infos, model))
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

function mismatchOf(
  entries: Iterable<{ spec: ParameterSpec; entry: HfEntry }>,
  infos: ReadonlyMap<string, TensorInfo>,
  model: ModelConfig,
): Mismatch {
  const known = new Set([...ignored, ...(model.tiedLogits ? ['lm_head.weight'] : [])])
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
