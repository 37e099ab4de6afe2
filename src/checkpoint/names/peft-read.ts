import { join } from 'node:path'
import { FileError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { isFile, readSmallText } from '../files.js'
import { listNames, quote } from '../format.js'
import type { CheckpointReader, TensorInfo } from '../format.js'
import { parseJson } from '../json.js'
import { safetensors } from '../safetensors.js'
import { torch } from '../torch/torch.js'
import { embeddingNames } from './hf-embeddings.js'
import { t5NameOf } from './hf-names.js'
import { parsePeftConfig } from './peft-config.js'
import type { PeftConfig } from './peft-config.js'

export const adapterConfigFile = 'adapter_config.json'
export const adapterFiles = ['adapter_model.safetensors', 'adapter_model.bin'] as const

/** What an adapter adds to a weight: scale * B A, transposed for an embedding. */
export interface LowRank {
  readonly a: TensorInfo // [rank, in]; [rank, vocab] of an embedding
  readonly b: TensorInfo // [out, rank]; [dModel, rank] of an embedding
  readonly scale: number
  readonly isEmbedding: boolean
}

/** Vectors of single tokens, which replace those of a table. */
export interface TokenRows {
  readonly info: TensorInfo // [tokens, dModel]
  readonly tokens: readonly number[]
}

/**
 * An open adapter of PEFT. Weights have the names of the base's, such as `encoder.block.0.layer.0.layer_norm.weight`.
 */
export interface PeftAdapter {
  readonly path: string
  readonly config: PeftConfig
  /** The low-rank matrices, by the weight that they are added to. */
  readonly lowRank: ReadonlyMap<string, LowRank>
  /** Weights that replace those of the base: of `modules_to_save`, and biases. */
  readonly replaced: ReadonlyMap<string, TensorInfo>
  /**
   * Copies of the base's embeddings and head, which PEFT saves where the vocabulary has been resized. They stand for
   * all tensors that the base ties to them.
   */
  readonly copies: ReadonlyMap<string, TensorInfo>
  /**
   * Trained vectors of single tokens, by the table. Those of `shared` are used in other tables, too: see `tablesOf`.
   */
  readonly rows: ReadonlyMap<string, TokenRows>
  read(info: TensorInfo): Promise<HostTensor>
  close(): Promise<void>
}

/** Whether a folder holds an adapter of PEFT. */
export const isPeftAdapter = (folder: string): Promise<boolean> => isFile(join(folder, adapterConfigFile))

/** Reads adapter_config.json of a folder. Throws a ConfigError if the adapter cannot be merged. */
export async function readPeftConfig(folder: string): Promise<PeftConfig> {
  const path = join(folder, adapterConfigFile)
  const text = await readSmallText(path, 2 ** 24)
  return parsePeftConfig(
    parseJson(text, message => new FileError(`${path}: this is not JSON, ${message}`)),
    path,
  )
}

/**
 * Opens the adapter in a folder, as `save_pretrained` of a PeftModel writes it: adapter_config.json, and
 * adapter_model.safetensors or adapter_model.bin. Throws an error that names the tensor that is no part of a LoRA
 * adapter, and settings that cannot be merged.
 */
export async function openPeftAdapter(folder: string): Promise<PeftAdapter> {
  const config = await readPeftConfig(folder)
  const reader = await openTensors(folder)
  try {
    return {
      path: folder,
      config,
      ...sortTensors(reader, config),
      read: ({ name }) => reader.read(name),
      close: () => reader.close(),
    }
  } catch (error) {
    await reader.close()
    throw error
  }
}

async function openTensors(folder: string): Promise<CheckpointReader> {
  for (const file of adapterFiles) {
    const path = join(folder, file)
    if (await isFile(path)) return file.endsWith('.bin') ? torch.open(path) : safetensors.open(path)
  }
  throw new FileError(
    `${folder}: there is an ${adapterConfigFile}, but no ${adapterFiles.join(' or ')}: copy or download it`,
  )
}

/** `q.lora_A.weight`, `q.lora_A.default.weight`, `shared.lora_embedding_B`, `shared.lora_embedding_B.default`. */
const halfName = /^(.+)\.lora_(embedding_)?([AB])(?:\.(?!(?:weight|bias)$)([^.]+))?(?:\.weight)?$/

/** `shared.token_adapter.trainable_tokens_delta`, which holds the vectors themselves. */
const rowsName = /^(.+)\.token_adapter\.trainable_tokens_delta(?:\.default)?$/

/** What PEFT puts into the name of a module that it wraps. */
const wrapper = /\.(modules_to_save(?:\.default)?|base_layer|original_module)(?=\.)/

/** What each tensor of an adapter's file is for. */
function sortTensors(
  reader: CheckpointReader,
  config: PeftConfig,
): Pick<PeftAdapter, 'lowRank' | 'replaced' | 'copies' | 'rows'> {
  const halves = new Map<string, { A?: TensorInfo; B?: TensorInfo; isEmbedding: boolean }>()
  const replaced = new Map<string, TensorInfo>()
  const copies = new Map<string, TensorInfo>()
  const rows = new Map<string, TokenRows>()
  const adapters = new Set<string>()
  const unknown: string[] = []
  for (const info of reader.list()) {
    const name = info.name.replace(/^(base_model\.model\.)+/, '')
    const half = halfName.exec(name)
    if (half !== null) {
      const [, module, embedding, which, adapter] = half
      if (adapter !== undefined) adapters.add(adapter)
      const both = halves.get(module) ?? { isEmbedding: embedding !== undefined }
      halves.set(module, { ...both, [which]: info })
      continue
    }
    const module = rowsName.exec(name)?.[1]
    if (module !== undefined) {
      const tokens = config.tokensOf(module)
      if (info.shape.length !== 2 || info.shape[0] !== tokens.length)
        throw new FileError(
          `${reader.path}: ${quote(info.name)} is [${info.shape}], and trainable_token_indices in adapter_config.json names ${formatCount(tokens.length)} ${tokens.length === 1 ? 'token' : 'tokens'} of ${quote(module)}, each with a row: copy or download both files of the adapter again`,
        )
      rows.set(t5NameOf(`${module}.weight`), { info, tokens })
      continue
    }
    const own = t5NameOf(name.replace(wrapper, ''))
    const wrapped = wrapper.exec(name)?.[1]
    const isSaved =
      wrapped?.startsWith('modules_to_save') ?? config.modulesToSave.some(end => own.endsWith(`${end}.weight`))
    if (!/\.(weight|bias)$/.test(name) || name.includes('.lora_')) unknown.push(info.name)
    else if (embeddingNames.includes(own) && (wrapped === 'original_module' || !isSaved)) copies.set(own, info)
    // A module that is trained as a whole keeps the base's weights beside its own, unused.
    else if (wrapped !== 'original_module') replaced.set(own, info)
  }
  if (unknown.length > 0)
    throw new FileError(`${reader.path}: these tensors are no part of a LoRA adapter: ${listNames(unknown)}`)
  if (adapters.size > 1)
    throw new FileError(
      `${reader.path}: the file holds several adapters (${listNames([...adapters])}): save the one to use with save_pretrained and selected_adapters`,
    )
  const lowRank = new Map<string, LowRank>()
  for (const [module, { A: a, B: b, isEmbedding }] of halves) {
    if (a === undefined || b === undefined)
      throw new FileError(
        `${reader.path}: lora_A or lora_B of ${quote(module)} is missing: copy or download the adapter again`,
      )
    const rank = config.rankOf(module)
    if (a.shape.length !== 2 || b.shape.length !== 2 || a.shape[0] !== rank || b.shape[1] !== rank)
      throw new FileError(
        `${reader.path}: the matrices of ${quote(module)} are [${a.shape}] and [${b.shape}], and adapter_config.json says that their rank is ${rank}`,
      )
    lowRank.set(t5NameOf(`${module}.weight`), { a, b, scale: config.scaleOf(module), isEmbedding })
  }
  if (lowRank.size + replaced.size + copies.size + rows.size === 0)
    throw new FileError(`${reader.path}: the adapter's file has no tensors`)
  return { lowRank, replaced, copies, rows }
}
