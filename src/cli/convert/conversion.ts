import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError, FileError } from '../../base/errors.js'
import { dtypes } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import { formatBytes, formatCount } from '../../base/format.js'
import { sizeOf } from '../../base/host-tensor.js'
import { requireDiskSpace } from '../../checkpoint/disk-space.js'
import { memoryProblem } from '../../checkpoint/free-memory.js'
import { quantizedTypes } from '../../checkpoint/quantize.js'
import { isFile } from '../../checkpoint/files.js'
import { writePeftAdapters } from '../../checkpoint/names/peft-write.js'
import { writtenNotices } from '../../checkpoint/names/hf-embeddings.js'
import { writeHfWeights } from '../../checkpoint/names/hf-folder.js'
import { t5xNotices, writeT5xWeights } from '../../checkpoint/names/t5x-weights.js'
import { writeNativeWeights } from '../../checkpoint/native-weights.js'
import type { NativeOptions } from '../../checkpoint/native-weights.js'
import { modulesFile } from '../../checkpoint/sentence-transformers/modules.js'
import { newWeights } from '../../checkpoint/weights.js'
import { modelCodec, vocabularyFolders } from '../../open/model-codec.js'
import { openWeights } from '../../open/open-weights.js'
import type { OpenedWeights } from '../../open/open-weights.js'
import { runAdapters } from '../../open/run-adapters.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import { readCodec } from '../../data/task.js'
import { loadT5Vocabulary } from '../../data/vocabularies/load-vocabulary.js'
import { ByteVocabulary } from '../../text/bytes.js'
import { besideVocabulary, vocabularyFiles } from '../../text/files.js'
import { hfTokenizerFiles } from '../../text/hf-tokenizer.js'
import { withAnswersOf } from '../../model/generation-defaults.js'
import { countParameters, expertSpec } from '../../model/parameters.js'
import type { ParameterSpec } from '../../model/parameters.js'
import { preset } from '../../model/presets.js'
import { LongWork } from '../../data/long-work.js'
import { Exit } from '../shared/exit.js'
import { onInterrupt } from '../shared/interrupt.js'
import { bitsOf } from '../shared/options.js'
import { withoutFolders } from '../shared/trained-on.js'
import { watchedWeights } from './watched-weights.js'

/**
 * Writes new random weights of a preset, one parameter or expert at a time, and its vocabulary, if it is T5's or bytes.
 * The format is Hugging Face's, or ours for gated experts, which transformers does not have.
 */
export async function writeNewWeights(
  name: string,
  folder: string,
  { seed, dtype, experts }: NewWeightsOptions,
): Promise<void> {
  const { model, router } = preset(name)
  const weights = newWeights(name, { ...model, dtype: 'float32' }, router, seed)
  const files = name.startsWith('mt5-')
    ? {}
    : hfTokenizerFiles(name.startsWith('byt5-') ? new ByteVocabulary() : await loadT5Vocabulary())
  if (experts !== 'seeded' && dtype in bitsOf)
    throw new ConfigError(
      `init writes ${dtype} only with --experts seeded: write float32, then use switchyard convert --to native --dtype ${dtype}`,
    )
  const to = model.gatedActivation && model.numExperts > 0 ? 'native' : 'safetensors'
  if (experts !== 'seeded') return writeWeights(folder, weights, { to, dtype }, files)
  if (model.numExperts === 0) throw new ConfigError(`${name} is dense: it has no experts to make from a seed`)
  const isExpert = ({ role }: Pick<ParameterSpec, 'role'>): boolean => role === 'expertKernel'
  const made = weights.specs.filter(isExpert)
  const dense = { ...weights, specs: weights.specs.filter(spec => !isExpert(spec)) }
  const seededExperts = { seed, dtype: dtype === 'bfloat16' ? dtype : 'float32' } as const
  await writeWeights(folder, dense, { to: 'native', dtype, seededExperts }, files)
  onNotice(
    `${formatCount(countParameters(made))} parameters of experts are not written: each expert is made from the seed when it is first read, and kept in ${folder}/pages`,
  )
}

export interface NewWeightsOptions {
  seed: number
  dtype: NonNullable<ConvertOptions['dtype']>
  /** `seeded`: experts are not written, and made from the seed when they are read. */
  experts?: 'seeded'
}

const onNotice = (message: string): void => console.error(message)

export interface ConvertOptions {
  to: 'safetensors' | 't5x' | 'native' | 'peft'
  dtype?: 'float32' | 'bfloat16' | keyof typeof bitsOf
  /** How `native` stores the experts. Default: together, each stack in one tensor. */
  experts?: 'together' | 'apart'
  /** For weights without their experts: see `NativeOptions`. */
  seededExperts?: NativeOptions['seededExperts']
  /** Which checkpoint of a run. Default: the best. */
  checkpoint?: CheckpointChoice
}

type FormOptions = Pick<ConvertOptions, 'to' | 'dtype'>

/** Writes the weights of a folder, a checkpoint or a model of the hub in another format, one parameter at a time. */
export async function convertWeights(source: string, folder: string, options: ConvertOptions): Promise<void> {
  const weights = await openWeights(source, { choice: options.checkpoint, onNotice })
  try {
    if (options.to === 'peft') {
      if (options.experts !== undefined) requireExperts(weights, options.to)
      return await writeAdapters(folder, weights, options)
    }
    await writeWeights(folder, weights, options, await vocabularyIn(weights))
    if (await isFile(join(source, modulesFile))) onNotice(modulesNotice(source, options))
  } finally {
    await weights.close()
  }
}

/** The formats that a model can be written in. */
export async function formatsFor(source: string): Promise<readonly ConvertOptions['to'][]> {
  const weights = await openWeights(source, { onNotice })
  await weights.close()
  return weights.texts !== undefined && tokenizerOf(weights) === undefined
    ? ['native']
    : ['safetensors', 't5x', 'native']
}

/** What to know after a model of sentence-transformers was converted: only its Transformer was. */
const modulesNotice = (source: string, { to }: ConvertOptions): string =>
  `${source}: the other modules of sentence-transformers were not converted, and embed takes the mean of the tokens without them${
    to === 'safetensors' ? `: to keep them, copy ${modulesFile} and the files and folders of the modules` : ''
  }`

/** The format that weights are stored in, as one to write. */
export const formatOf = ({ container }: Pick<OpenedWeights, 'container'>): ConvertOptions['to'] =>
  container === 'huggingface' ? 'safetensors' : container === 't5x' ? 't5x' : 'native'

/** Writes opened weights, and `files` (a vocabulary) beside them, one parameter at a time. */
export async function writeWeights(
  folder: string,
  weights: OpenedWeights,
  { to, dtype, experts, seededExperts }: ConvertOptions,
  files: Record<string, Uint8Array> = {},
): Promise<void> {
  const asked = dtype === 'int8' || dtype === 'int4' ? bitsOf[dtype] : null
  if (asked && to !== 'native') throw new ConfigError(`the format ${to} cannot hold ${String(dtype)}: use --to native`)
  if (experts !== undefined) requireExperts(weights, to)
  // Quantized weights stay as they are unless another dtype is asked for.
  const bits = to === 'native' && dtype === undefined ? (weights.bits ?? null) : asked
  if (weights.bits && asked && asked !== weights.bits)
    throw new ConfigError(
      `${weights.path}: its weights are quantized to ${weights.bits} bits already: leave --dtype out to keep them, or write them dequantized with --dtype float32`,
    )
  const tokenizer = to === 'native' ? undefined : tokenizerOf(weights)
  if (weights.texts && to !== 'native' && tokenizer === undefined)
    throw new ConfigError(
      `${weights.path}: ${to === 't5x' ? 'T5X' : 'transformers'} has no tokenizer that does what this run's vocabulary does: convert it with --to native, or train a model with --tokenizer t5 (or bytes) and convert that`,
    )
  console.error(
    `${weights.path} (${weights.container}): ${formatCount(countParameters(weights.specs))} parameters, ${weights.specs.length} tensors`,
  )
  await requireDiskSpace(folder, writtenBytes(weights, { to, dtype }), smallerType(weights, { to, dtype }))
  requireMemory(weights)
  const stored = dtype === 'float32' || dtype === 'bfloat16' ? dtype : undefined
  const foreign = { dtype: stored, files: { ...files, ...tokenizer } }
  const { texts } = weights
  if (to === 'safetensors')
    for (const notice of writtenNotices(weights.model, stored ?? headType(weights))) console.error(notice)
  if (to === 't5x') for (const notice of t5xNotices(weights)) console.error(notice)
  await writeWatched(folder, weights, writtenBytes(weights, { to, dtype }), watched => {
    if (to === 'safetensors') return writeHfWeights(folder, withRunsLength(watched), foreign)
    if (to === 't5x') return writeT5xWeights(folder, watched, foreign)
    const named = texts && { ...texts, trainedOn: texts.trainedOn && withoutFolders(texts.trainedOn) }
    return writeNativeWeights(folder, watched, { dtype: stored, bits, experts, seededExperts, files, texts: named })
  })
}

/** Writes weights and shows how far that is. After Ctrl-C, nothing of the folder is left. */
async function writeWatched(
  folder: string,
  weights: OpenedWeights,
  bytes: number,
  write: (watched: OpenedWeights) => Promise<void>,
): Promise<void> {
  const work = new LongWork(`writing ${folder}`, bytes, 'bytes')
  const { signal, stop } = onInterrupt(() => console.error(`stopping; ${folder} is not written`))
  try {
    await write(watchedWeights(weights, { signal, onRead: share => work.at(Math.floor(share * bytes)) }))
  } catch (error) {
    throw signal.aborted ? new Exit(130) : error
  } finally {
    work.end()
    stop()
  }
}

/** Throws a ConfigError if the layout of experts cannot be chosen. */
function requireExperts({ path, model }: OpenedWeights, to: ConvertOptions['to']): void {
  if (to !== 'native') throw new ConfigError(`the format ${to} has no file for experts: --experts needs --to native`)
  if (model.numExperts === 0) throw new ConfigError(`${path}: this model is dense: omit --experts`)
}

/** The dtype of the head, or of the embedding that it is tied to. */
const headType = ({ specs }: OpenedWeights): DType =>
  (specs.find(({ role }) => role === 'outputProjection') ?? specs.find(({ role }) => role === 'embedding')!).dtype

/** Weights whose answers are, by default, as long as those of their run. */
const withRunsLength = (weights: OpenedWeights): OpenedWeights =>
  weights.texts === undefined
    ? weights
    : { ...weights, model: withAnswersOf({ generation: {}, ...weights.model }, weights.texts.maxNewTokens) }

/** The tokenizer's files for Hugging Face, if one of its tokenizers does what the run's codec does. */
function tokenizerOf({ texts }: OpenedWeights): Record<string, Uint8Array> | undefined {
  if (texts === undefined) return undefined
  const { inputs, targets, prepare } = readCodec(texts.task)
  const changesTexts = prepare('A') !== 'A'
  return inputs === targets && !changesTexts ? hfTokenizerFiles(inputs) : undefined
}

/**
 * Throws a FileError if the largest array does not fit into the free memory, as it is read and as it is written. A
 * stack of experts is read expert by expert.
 */
function requireMemory({ path, specs }: OpenedWeights): void {
  const largest = specs
    .map(spec => (spec.role === 'expertKernel' ? expertSpec(spec) : spec))
    .reduce((a, b) => (sizeOf(b.shape) > sizeOf(a.shape) ? b : a))
  const task = `${path}: converting ${largest.path} [${largest.shape}]`
  const problem = memoryProblem(task, 8 * sizeOf(largest.shape), () => 'use a machine with more memory')
  if (problem !== undefined) throw new FileError(problem)
}

/** The size of the written tensors in bytes. */
function writtenBytes({ specs, bits: stored }: OpenedWeights, { to, dtype }: FormOptions): number {
  const kept = to === 'native' && dtype === undefined ? stored : undefined
  const bits = dtype === 'int8' || dtype === 'int4' ? bitsOf[dtype] : kept
  return specs.reduce((sum, spec) => {
    const quantized = bits && quantizedTypes(spec, bits)
    if (quantized) return sum + sizeOf(quantized.values) + 4 * sizeOf(quantized.scales)
    const type = dtype === 'float32' || dtype === 'bfloat16' ? dtype : spec.dtype
    return sum + sizeOf(spec.shape) * dtypes[type].bytes
  }, 0)
}

/** The advice for a disk that is too small: the next smaller dtype, with its size. */
function smallerType(weights: OpenedWeights, { to, dtype }: FormOptions): string {
  const types = to === 'native' && !weights.bits ? (['bfloat16', 'int8', 'int4'] as const) : (['bfloat16'] as const)
  const smaller = types.find(type => writtenBytes(weights, { to, dtype: type }) < writtenBytes(weights, { to, dtype }))
  return smaller
    ? `use another disk; --dtype ${smaller} takes ${formatBytes(writtenBytes(weights, { to, dtype: smaller }))}`
    : 'use another disk'
}

/** Writes the adapters of a run alone. Throws a ConfigError if the source has none. */
async function writeAdapters(folder: string, weights: OpenedWeights, { dtype }: ConvertOptions): Promise<void> {
  if (dtype !== undefined) throw new ConfigError('--to peft writes adapters as they are, in float32: omit --dtype')
  const { adapters, rank, alpha, base } = await runAdapters(weights)
  await writePeftAdapters(folder, adapters, {
    rank,
    alpha,
    base,
    family: weights.model.numExperts > 0 ? 'switch' : 't5',
  })
  console.error(`${weights.path}: ${adapters.length} adapters of rank ${rank}, for the weights in ${base}`)
}

/**
 * The vocabulary files that lie beside weights, to be copied beside the converted ones. Where none lie, and the model's
 * name says that its vocabulary is T5's, T5's files: the folder to write may have another name.
 */
export async function vocabularyIn(weights: OpenedWeights): Promise<Record<string, Uint8Array>> {
  for (const folder of vocabularyFolders(weights)) {
    const files: Record<string, Uint8Array> = {}
    for (const name of [...vocabularyFiles, ...besideVocabulary]) {
      const path = join(folder, name)
      if (await isFile(path)) files[name] = await readFile(path)
    }
    if (Object.keys(files).length > 0) return files
  }
  if (weights.texts !== undefined) return {}
  try {
    const { inputs } = await modelCodec(weights, onNotice)
    return hfTokenizerFiles(inputs) ?? {}
  } catch (error) {
    if (error instanceof FileError) return {}
    throw error
  }
}
