import { FileError } from '../base/errors.js'
import type { CheckpointFormat } from './format.js'
import { native } from './native.js'
import { safetensors } from './safetensors.js'
import { huggingface } from './sharded.js'
import { t5x } from './t5x/t5x.js'
import { torch } from './torch/torch.js'

/** Every container format, in the order in which they are tried. A new one is added here. */
export const checkpointFormats: readonly CheckpointFormat[] = [native, huggingface, safetensors, torch, t5x]

/** The format of what is at the path. */
export async function detectFormat(path: string): Promise<CheckpointFormat> {
  for (const format of checkpointFormats) if (await format.detect(path)) return format
  throw new FileError(
    `${path}: no checkpoint is here that Switchyard can read; it reads ${checkpointFormats.map(f => f.name).join(', ')}`,
  )
}
