import { join, resolve } from 'node:path'
import { ConfigError, FileError } from '../base/errors.js'
import { isFile } from '../checkpoint/files.js'
import type { RemoteOptions } from '../checkpoint/hub/remote-weights.js'
import { weightFiles } from '../checkpoint/index-file.js'
import { openHfWeights } from '../checkpoint/names/hf-folder.js'
import { isPeftAdapter } from '../checkpoint/names/peft-read.js'
import { openT5xWeights } from '../checkpoint/names/t5x-weights.js'
import type { Checkpoint } from '../checkpoint/native.js'
import { nativeWeights } from '../checkpoint/native-weights.js'
import { modulesFile, transformerFolder } from '../checkpoint/sentence-transformers/modules.js'
import { t5x } from '../checkpoint/t5x/t5x.js'
import { requireTextHead } from '../checkpoint/weights.js'
import type { Weights } from '../checkpoint/weights.js'
import { isRun, openExpected } from '../train/checkpointing.js'
import type { ExpectedPath } from '../train/checkpointing.js'
import type { ChooseOptions } from '../train/choose-checkpoint.js'
import type { TaskConfig } from '../data/task.js'
import type { RunConfig } from '../train/config.js'
import { mergedReader } from '../train/trainable/merged-reader.js'
import { openAdapted } from './adapted-weights.js'

/** A model's weights in any format. */
export interface OpenedWeights extends Weights {
  /**
   * The saved codec (see `readCodec`), the most tokens of an answer, and the task of the run, null if it is not known.
   * Only models trained here have them.
   */
  readonly texts?: { readonly task: unknown; readonly maxNewTokens: number; readonly trainedOn: TaskConfig | null }
  /** Of an adapter of PEFT: the base that it is merged into. */
  readonly base?: Pick<OpenedWeights, 'path' | 'container' | 'base'>
  /** The run that the weights are of. */
  readonly run?: { readonly config: RunConfig; readonly checkpoint: Checkpoint }
}

export interface OpenOptions extends ChooseOptions {
  /** Whether the model must give text. Otherwise it is an error, which says why. */
  readonly forText?: boolean
  /**
   * Reads files of weights on the hub by ranges if `fetchModel` has left them there (`leaveWeights`). Default: a folder
   * without them is an error.
   */
  readonly remote?: RemoteOptions
}

/**
 * Opens the weights at a path: a Hugging Face folder (that sentence-transformers saved, too), a T5X checkpoint, a run,
 * a native checkpoint that `convert` wrote, or an adapter of PEFT, which is merged into its base. Of a run, the best
 * checkpoint by default.
 */
export async function openWeights(path: string, options: OpenOptions = {}): Promise<OpenedWeights> {
  const weights = await openAny(path, options)
  try {
    if (options.forText) requireTextHead(weights)
    for (const notice of weights.notices ?? []) options.onNotice?.(`${path}: ${notice}`)
    return weights
  } catch (error) {
    await weights.close()
    throw error
  }
}

async function openAny(path: string, options: OpenOptions, within: readonly string[] = []): Promise<OpenedWeights> {
  if (!(await isPeftAdapter(path))) return openPlain(path, options)
  if (options.choice !== undefined)
    throw new ConfigError(`${path}: this is an adapter of PEFT, so it has no checkpoints to choose from`)
  const here = resolve(path)
  if (within.includes(here))
    throw new FileError(
      `${path}: this adapter is, through base_model_name_or_path, its own base: name another model there`,
    )
  const openBase = (base: string): Promise<OpenedWeights> =>
    resolve(base) === here ? openPlain(base, {}) : openAny(base, { onNotice: options.onNotice }, [...within, here])
  const { weights, base } = await openAdapted(path, openBase, options.onNotice)
  return { ...weights, texts: base.texts, base }
}

/** Opens weights without an adapter. */
async function openPlain(path: string, { remote, ...options }: OpenOptions): Promise<OpenedWeights> {
  const isHf = await isFile(join(path, 'config.json'))
  if (!isHf && (await isFile(join(path, modulesFile)))) return openHfWeights(await transformerFolder(path))
  if (!isHf && !(await t5x.detect(path)))
    return openNativeWeights(path, { ...options, choice: options.choice ?? 'best' })
  if (options.choice !== undefined)
    throw new ConfigError(`${path}: this is not a run of Switchyard, so it has no checkpoints to choose from`)
  if (!isHf) return openT5xWeights(path)
  return (remote && (await openRemote(path, remote))) ?? openHfWeights(path)
}

/** See `openRemoteWeights`. Its code is loaded only for those who want it. */
async function openRemote(path: string, options: RemoteOptions): Promise<Weights | undefined> {
  const { openRemoteWeights } = await import('../checkpoint/hub/remote-weights.js')
  return openRemoteWeights(path, options)
}

/** What a path may be that weights are opened from. */
const modelPath: ExpectedPath = {
  what: 'model',
  hint: 'a model was expected: a Hugging Face folder (config.json and weights), a T5X checkpoint (checkpoint_<step>), a run (such as runs/g2p), a checkpoint of Switchyard, or an adapter of PEFT (adapter_config.json)',
}

async function openNativeWeights(path: string, options: ChooseOptions): Promise<OpenedWeights> {
  for (const file of weightFiles)
    if (await isFile(join(path, file)))
      throw new FileError(
        `${path}: there are weights (${file}) and no config.json, which says what the model is: put the model's own config.json beside them`,
      )
  // The other formats do not need the schemas, which import all tasks.
  const { nativeSchema } = await import('../config/schema.js')
  const { parseConfig, parseRunConfig } = await import('../config/validate.js')
  const checkpoint = await openExpected(path, options, modelPath)
  try {
    const what = `the configuration in ${checkpoint.folder}`
    if (isRun(checkpoint)) {
      const config = parseRunConfig(checkpoint.config, what)
      return {
        ...nativeWeights(
          { ...checkpoint, params: mergedReader(checkpoint.params, config.train.lora) },
          { ...config, bits: null },
        ),
        texts: { task: checkpoint.task, maxNewTokens: config.train.targetLength, trainedOn: config.task },
        run: { config, checkpoint },
      }
    }
    const config = parseConfig(nativeSchema, checkpoint.config, what)
    const { maxNewTokens, trainedOn } = config
    return {
      ...nativeWeights(checkpoint, config),
      ...(maxNewTokens === null ? {} : { texts: { task: checkpoint.task, maxNewTokens, trainedOn } }),
    }
  } catch (error) {
    await checkpoint.close()
    throw error
  }
}
