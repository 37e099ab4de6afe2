import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import type { HostTensor } from '../../base/host-tensor.js'
import type { ParameterSpec } from '../../model/parameters.js'
import { writeFolderAtomically } from '../atomic.js'
import { withPath } from '../files.js'
import { sourceOf } from '../format.js'
import { transposeMatrix, unstackTensor } from '../layout.js'
import { safetensors } from '../safetensors.js'
import { hfEntry } from './hf.js'
import type { HfFamily } from './hf.js'

/** The low-rank adapter (LoRA) of one kernel. */
export interface Adapter {
  /** The kernel [..., in, out] that it adapts. */
  readonly spec: ParameterSpec
  readonly a: HostTensor // [..., in, rank]
  readonly b: HostTensor // [..., rank, out]
}

export interface PeftOptions {
  readonly rank: number
  readonly alpha: number
  /** The model that the adapters belong to: a folder, or a name on the Hugging Face hub. */
  readonly base: string
  readonly family: HfFamily
}

/**
 * Writes adapters as a folder that PEFT's `PeftModel.from_pretrained` reads: adapter_config.json and
 * adapter_model.safetensors.
 */
export async function writePeftAdapters(
  folder: string,
  adapters: readonly Adapter[],
  options: PeftOptions,
): Promise<void> {
  const tensors = adapters.flatMap(adapter => peftTensors(adapter, options.family))
  const modules = adapters.flatMap(({ spec }) => modulesOf(spec, options.family))
  await writeFolderAtomically(folder, async temp => {
    await safetensors.write(join(temp, 'adapter_model.safetensors'), sourceOf(tensors), { metadata: { format: 'pt' } })
    const text = `${JSON.stringify(peftConfig(modules, options), null, 2)}\n`
    await withPath(folder, () => writeFile(join(temp, 'adapter_config.json'), text))
  })
}

/** The modules of Hugging Face's model that an adapter belongs to: one, or one for each expert. */
const modulesOf = (spec: ParameterSpec, family: HfFamily): string[] =>
  hfEntry(spec, family).names.map(name => name.replace(/\.weight$/, ''))

/**
 * An adapter as PEFT's tensors, which are transposed as those of PyTorch's linear layers: A [rank, in], B [out, rank].
 */
function peftTensors({ spec, a, b }: Adapter, family: HfFamily): [name: string, tensor: HostTensor][] {
  const { stacked } = hfEntry(spec, family)
  const [as, bs] = stacked ? [unstackTensor(a), unstackTensor(b)] : [[a], [b]]
  return modulesOf(spec, family).flatMap((module, i): [string, HostTensor][] => [
    [`base_model.model.${module}.lora_A.weight`, transposeMatrix(as[i])],
    [`base_model.model.${module}.lora_B.weight`, transposeMatrix(bs[i])],
  ])
}

const peftConfig = (modules: readonly string[], { rank, alpha, base }: PeftOptions) => ({
  peft_type: 'LORA',
  task_type: 'SEQ_2_SEQ_LM',
  base_model_name_or_path: base,
  inference_mode: true,
  r: rank,
  lora_alpha: alpha,
  lora_dropout: 0,
  bias: 'none',
  fan_in_fan_out: false,
  target_modules: modules,
})
