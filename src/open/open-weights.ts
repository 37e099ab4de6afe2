import { join } from 'node:path'
import { isFile } from '../checkpoint/files.js'
import { openHfWeights } from '../checkpoint/names/hf-folder.js'
import { openT5xWeights } from '../checkpoint/names/t5x-weights.js'
import type { Checkpoint } from '../checkpoint/native.js'
import { nativeWeights } from '../checkpoint/native-weights.js'
import { t5x } from '../checkpoint/t5x/t5x.js'
import type { Weights } from '../checkpoint/weights.js'
import { isRun, openBestCheckpoint } from '../train/checkpointing.js'
import type { RunConfig } from '../train/config.js'
import { mergedReader } from '../train/trainable/merged-reader.js'
import { nativeSchema } from '../config/schema.js'
import { parseConfig, parseRunConfig } from '../config/validate.js'

/** A model's weights in any format. */
export interface OpenedWeights extends Weights {
  /** The saved codec (see `readCodec`) and the most tokens of an answer. Only models trained here have them. */
  readonly texts?: { readonly task: unknown; readonly maxNewTokens: number }
  /** The run that the weights are of. */
  readonly run?: { readonly config: RunConfig; readonly checkpoint: Checkpoint }
}

/**
 * Opens the weights at a path: a Hugging Face folder, a T5X checkpoint, a run, or a native checkpoint that `convert`
 * wrote.
 */
export async function openWeights(path: string): Promise<OpenedWeights> {
  if (await isFile(join(path, 'config.json'))) return openHfWeights(path)
  return (await t5x.detect(path)) ? openT5xWeights(path) : openNativeWeights(path)
}

async function openNativeWeights(path: string): Promise<OpenedWeights> {
  const checkpoint = await openBestCheckpoint(path)
  try {
    const what = `the configuration in ${checkpoint.folder}`
    if (isRun(checkpoint)) {
      const config = parseRunConfig(checkpoint.config, what)
      return {
        ...nativeWeights(
          { ...checkpoint, params: mergedReader(checkpoint.params, config.train.lora) },
          { ...config, bits: null },
        ),
        texts: { task: checkpoint.task, maxNewTokens: config.train.targetLength },
        run: { config, checkpoint },
      }
    }
    const config = parseConfig(nativeSchema, checkpoint.config, what)
    const { maxNewTokens } = config
    return {
      ...nativeWeights(checkpoint, config),
      ...(maxNewTokens === null ? {} : { texts: { task: checkpoint.task, maxNewTokens } }),
    }
  } catch (error) {
    await checkpoint.close()
    throw error
  }
}
