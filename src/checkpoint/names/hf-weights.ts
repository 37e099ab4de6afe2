import { join } from 'node:path'
import { FileError, SwitchyardError } from '../../base/errors.js'
import type { HostTensor } from '../../base/host-tensor.js'
import type { ModelConfig, RouterConfig } from '../../model/config.js'
import { sameShape } from '../../engine/program/aval.js'
import { declareParameters } from '../../model/parameters.js'
import type { ParameterSpec } from '../../model/parameters.js'
import { readSmallText } from '../files.js'
import type { CheckpointReader, TensorInfo, TensorSource } from '../format.js'
import { parseJson } from '../json.js'
import { huggingface } from '../sharded.js'
import { checkComplete, readWeights, storedSpecs } from '../weights.js'
import type { Mismatch, Weights } from '../weights.js'
import { configFromHf, configToHf, hfConfigText } from './hf-config.js'
import { hfEntry, hfFamily, hfShape, readEntry, toHf } from './hf.js'
import type { HfEntry, HfFamily } from './hf.js'

/** What some published files hold besides: copies of the token embedding, and a table for cross attention, which has no position bias. */
const ignored = [
  'encoder.embed_tokens.weight',
  'decoder.embed_tokens.weight',
  'decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight',
]

/** The weights of a Hugging Face folder: config.json, and safetensors or torch files, whole or in shards. */
export async function openHfWeights(folder: string): Promise<Weights> {
  const configPath = join(folder, 'config.json')
  const json = parseJson(
    await readSmallText(configPath, 2 ** 20),
    message => new FileError(`${configPath}: this is not JSON, ${message}`),
  )
  const reader = await huggingface.open(folder)
  try {
    const { model, router } = configFromHf(json, reader.list(), folder)
    return weightsOf(folder, reader, model, router)
  } catch (error) {
    await reader.close()
    throw error
  }
}

function weightsOf(folder: string, reader: CheckpointReader, model: ModelConfig, router: RouterConfig): Weights {
  const infos = new Map(reader.list().map(info => [info.name, info]))
  const family = hfFamily(infos.keys())
  const entries = new Map(
    declareParameters(model, router).map(spec => [spec.path, { spec, entry: hfEntry(spec, family) }]),
  )
  checkComplete(folder, mismatchOf(entries.values(), infos, model))
  const entryOf = (path: string): HfEntry => {
    const known = entries.get(path)
    if (!known) throw new SwitchyardError(`${folder}: there is no parameter ${path} in this model`)
    return known.entry
  }
  return {
    path: folder,
    container: huggingface.name,
    model,
    router,
    specs: storedSpecs(model, router, spec => infos.get(entries.get(spec.path)!.entry.names[0])!.dtype),
    read: path => readEntry(reader, entryOf(path)),
    readTurned: path => {
      const entry = entryOf(path)
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
        mismatch.misshapen.push(`${name} is [${info.shape}] and not [${expected}]`)
    }
  }
  for (const name of infos.keys()) if (!known.has(name)) mismatch.surplus.push(name)
  return mismatch
}

/** Writes weights as a Hugging Face folder that `from_pretrained` reads: config.json, safetensors, in shards past a size, and `files` (a vocabulary). */
export async function writeHfWeights(
  folder: string,
  weights: Weights,
  options: {
    dtype?: ParameterSpec['dtype']
    maxShardBytes?: number
    files?: Readonly<Record<string, Uint8Array>>
  } = {},
): Promise<void> {
  const family: HfFamily = weights.model.numExperts > 0 ? 'switch' : 't5'
  const config = { ...configToHf(weights.model, weights.router), ...(options.dtype ? { dtype: options.dtype } : {}) }
  await huggingface.write(folder, hfSource(weights, family, options.dtype), {
    maxShardBytes: options.maxShardBytes,
    files: { ...options.files, 'config.json': hfConfigText(config) },
  })
}

function hfSource(weights: Weights, family: HfFamily, dtype: ParameterSpec['dtype'] | undefined): TensorSource {
  const infos = weights.specs.flatMap((spec): TensorInfo[] => {
    const entry = hfEntry(spec, family)
    return entry.names.map(name => ({ name, dtype: dtype ?? spec.dtype, shape: hfShape(spec.shape, entry) }))
  })
  async function* entries(): AsyncGenerator<[string, HostTensor]> {
    for await (const [path, tensor] of readWeights(weights, dtype)) yield* toHf(path, tensor, family)
  }
  return { infos, entries: entries() }
}
