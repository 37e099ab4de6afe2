import { join } from 'node:path'
import { FileError } from '../../base/errors.js'
import { castHost, hostTensor } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { specialIdsOf } from '../../model/config.js'
import type { ModelConfig } from '../../model/config.js'
import type { ParameterSpec } from '../../model/parameters.js'
import { isFile, readSmallText } from '../files.js'
import type { TensorEntry, TensorInfo, TensorSource } from '../format.js'
import { parseJson, valueTexts } from '../json.js'
import type { Json } from '../json.js'
import { huggingface } from '../sharded.js'
import type { WeightFiles } from '../sharded.js'
import { refuseCustomRouter } from '../weights.js'
import type { Weights } from '../weights.js'
import { configToHf } from './hf-config.js'
import { isTiedCopy, writtenEmbeddings } from './hf-embeddings.js'
import { hfEntry, hfShape, toHf } from './hf.js'
import type { HfFamily } from './hf.js'
import { hfGeneration } from './hf-generation.js'
import { hfText } from './hf-json.js'
import { forcedIdsToHf, needsTokenizer, specialIdsToHf } from './hf-special-ids.js'
import { readAsHf } from './hf-view.js'
import { hfWeights } from './hf-weights.js'
import type { HfFiles } from './hf-files.js'

/** tokenizer_config.json may hold thousands of added tokens. */
const MOST_BYTES = 2 ** 26

/**
 * The weights of a Hugging Face folder: config.json, and safetensors or torch files, whole or in shards. Special ids
 * and generation defaults are also read from generation_config.json and the tokenizer's files, if it has them.
 */
export const openHfWeights = (folder: string): Promise<Weights> => openHfFolder(folder)

/** As `openHfWeights`. `weightFiles`: the files of weights, if not all are in the folder. */
export async function openHfFolder(folder: string, weightFiles?: WeightFiles): Promise<Weights> {
  const [config, generation, tokenizerConfig] = [
    await readJson(join(folder, 'config.json')),
    await readIfPresent(join(folder, 'generation_config.json')),
    await readIfPresent(join(folder, 'tokenizer_config.json')),
  ]
  const configs: HfFiles = {
    config: config.value,
    generationConfig: generation?.value,
    generationTexts: valueTexts((generation ?? config).text, message => new FileError(`${folder}: ${message}`)),
    tokenizerConfig: tokenizerConfig?.value,
  }
  const tokenizer = needsTokenizer(configs) ? (await readIfPresent(join(folder, 'tokenizer.json')))?.value : undefined
  const files = { ...configs, tokenizer }
  const reader = await huggingface.open(folder, { mayBeAbsent: isTiedCopy, files: weightFiles })
  try {
    return await hfWeights(files.config, reader, folder, files)
  } catch (error) {
    await reader.close()
    throw error
  }
}

interface JsonFile {
  readonly text: string
  readonly value: Json
}

const readIfPresent = async (path: string): Promise<JsonFile | undefined> =>
  (await isFile(path)) ? readJson(path) : undefined

async function readJson(path: string): Promise<JsonFile> {
  const text = await readSmallText(path, MOST_BYTES)
  return { text, value: parseJson(text, message => new FileError(`${path}: this is not JSON, ${message}`)) }
}

/**
 * Writes weights as a Hugging Face folder that `from_pretrained` reads: config.json, generation_config.json,
 * safetensors, in shards past a size, and `files` (a vocabulary).
 */
export async function writeHfWeights(
  folder: string,
  weights: Weights,
  options: {
    dtype?: ParameterSpec['dtype']
    maxShardBytes?: number
    files?: Readonly<Record<string, Uint8Array>>
  } = {},
): Promise<void> {
  refuseCustomRouter(weights, "Hugging Face's format")
  const family: HfFamily = weights.model.numExperts > 0 ? 'switch' : 't5'
  const config = { ...configToHf(weights.model, weights.router), ...(options.dtype ? { dtype: options.dtype } : {}) }
  await huggingface.write(folder, hfSource(weights, family, options.dtype), {
    maxShardBytes: options.maxShardBytes,
    files: {
      ...options.files,
      'config.json': hfText(config),
      ...(weights.model.numDecoderLayers > 0 && { 'generation_config.json': generationText(weights.model) }),
    },
  })
}

/** The text of generation_config.json. */
function generationText(model: ModelConfig): string {
  const ids = specialIdsOf(model)
  const settings = { ...specialIdsToHf(ids), ...forcedIdsToHf(ids), ...hfGeneration(model.generation ?? {}) }
  return hfText(settings)
}

function hfSource(weights: Weights, family: HfFamily, dtype: ParameterSpec['dtype'] | undefined): TensorSource {
  const tables = writtenEmbeddings(weights.model).tensors.map(table => {
    const spec = weights.specs.find(({ path }) => path === table.path)!
    return { ...table, spec, entry: hfEntry(spec, family) }
  })
  const others = weights.specs.filter(({ role }) => role !== 'embedding' && role !== 'outputProjection')
  const infos = [
    ...tables.map(({ name, spec, entry }): TensorInfo => ({
      name,
      dtype: dtype ?? spec.dtype,
      shape: hfShape(spec.shape, entry),
    })),
    ...others.flatMap((spec): TensorInfo[] => {
      const entry = hfEntry(spec, family)
      return entry.names.map(name => ({ name, dtype: dtype ?? spec.dtype, shape: hfShape(spec.shape, entry) }))
    }),
  ]
  async function* entries(): AsyncGenerator<TensorEntry> {
    for (const { name, spec, factor } of tables) {
      const tensor = castHost(scaled(await weights.read(spec.path), factor), dtype ?? spec.dtype)
      yield [name, toHf(spec, tensor, family)[0][1]]
    }
    for (const spec of others) {
      const entry = hfEntry(spec, family)
      for (const [i, name] of entry.names.entries())
        yield [name, castHost(await readAsHf(weights, spec.path, entry, i), dtype ?? spec.dtype)]
    }
  }
  return { infos, entries: entries() }
}

/** A tensor times a factor, in float32. */
function scaled(tensor: HostTensor, factor: number): HostTensor {
  if (factor === 1) return tensor
  const { shape, data } = castHost(tensor, 'float32')
  return hostTensor(
    'float32',
    shape,
    Float32Array.from(data as Float32Array, x => x * factor),
  )
}
