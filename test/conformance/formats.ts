import type { CheckpointFormat } from '../../src/checkpoint/format.js'
import { native } from '../../src/checkpoint/native.js'
import { safetensors } from '../../src/checkpoint/safetensors.js'
import { huggingface } from '../../src/checkpoint/sharded.js'
import { t5x } from '../../src/checkpoint/t5x/t5x.js'
import { torch } from '../../src/checkpoint/torch/torch.js'

/** Every container format, in the order in which they are tried. */
const checkpointFormats: readonly CheckpointFormat[] = [native, huggingface, safetensors, torch, t5x]

/** The first format that detects the path as its own. */
export async function detectFormat(path: string): Promise<CheckpointFormat> {
  for (const format of checkpointFormats) if (await format.detect(path)) return format
  throw new Error(`${path}: no format detects this`)
}
