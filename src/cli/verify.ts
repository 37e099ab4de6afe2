import { Command, InvalidArgumentError } from 'commander'
import { collect } from './options.js'
import type { VerifyOptions } from './verification.js'

export const verifyCommand = (): Command =>
  new Command('verify')
    .description(
      'compare a model with its reference: run it on recorded cases, and compare every tensor that they hold',
    )
    .argument(
      '[folder]',
      'config.json, model.safetensors and cases.safetensors, as of Hugging Face; generation.json if it is there',
    )
    .option(
      '--weights <path>',
      'take the weights from here instead of from the folder: in any format, quantized ones too; gradients are left out',
    )
    .option('--params <file>', 'instead of a folder: parameters under the names of T5X')
    .option('--cases <file>', 'a batch, and the tensors that T5X computed from it')
    .option('--config <file>', 'JSON with settings under model and router; sizes are read from the parameters')
    .option('--set <path=value>', 'change a setting, such as router.maxGroupSize=8; may be given again', collect, [])
    .option(
      '--tolerance <share>',
      "the largest difference, relative to the tensor's largest value (default: 1e-4)",
      share,
    )
    .action(async (folder: string | undefined, options: VerifyOptions) => {
      const { verify } = await import('./verification.js')
      await verify(folder, options)
    })

function share(text: string): number {
  const value = Number(text)
  if (!(value >= 0)) throw new InvalidArgumentError('expected a number of 0 or more')
  return value
}
