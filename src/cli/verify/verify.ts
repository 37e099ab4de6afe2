import { Command, InvalidArgumentError } from 'commander'
import { collectSettings } from '../shared/options.js'
import type { VerifyOptions } from './verification.js'

export const verifyCommand = (): Command =>
  new Command('verify')
    .description('compare a model with recorded values: run it on recorded inputs, and compare every recorded tensor')
    .argument(
      '[folders...]',
      'Hugging Face folders (config.json, model.safetensors), adapters of PEFT or models of the hub with cases.safetensors, and optionally generation.json; of several, one line each is printed',
    )
    .option(
      '--weights <path>',
      'with one folder: compare the model at this path instead, such as a converted or quantized copy, in any format; gradients are then not compared',
    )
    .option('--params <file>', 'instead of folders: a safetensors file of parameters under their T5X names')
    .option('--cases <file>', 'with --params: a safetensors file of a batch and the tensors that T5X computed from it')
    .option('--config <file>', 'JSON with settings under model and router; sizes are read from the parameters')
    .option(
      '--set <path=value>',
      'change a setting, such as router.maxGroupSize=8; may be given again',
      collectSettings,
      [],
    )
    .option(
      '--tolerance <share>',
      "the largest difference, relative to the tensor's largest value (default: 1e-5, and 1e-4 for scores of answers)",
      share,
    )
    .option('--revision <name>', 'for models of the hub: a branch, tag or commit (default: main)')
    .option('--json', 'print the differences of all tensors as JSON')
    .action(async (folders: string[], options: VerifyOptions) => {
      const { verify } = await import('./verification.js')
      await verify(folders, options)
    })

function share(text: string): number {
  const value = Number(text)
  if (!(value >= 0)) throw new InvalidArgumentError('expected a number of 0 or more')
  return value
}
