import { Command, Option } from 'commander'

export const convertCommand = (): Command => new Command('convert')
  .description('write a model\'s weights in another format; every tensor must be one of the model\'s, and none may be missing')
  .argument('<source>', 'a folder of Hugging Face (safetensors or torch .bin, whole or in shards), a checkpoint of T5X, or a run')
  .argument('<folder>', 'where they are written; it must not exist')
  .addOption(new Option('--to <format>', 'safetensors: a folder as Hugging Face\'s; t5x: a checkpoint of T5X').choices(['safetensors', 't5x']).default('safetensors'))
  .addOption(new Option('--dtype <type>', 'how they are stored; by default as in the source').choices(['float32', 'bfloat16']))
  .action(async (source: string, folder: string, options: { to: 'safetensors' | 't5x'; dtype?: 'float32' | 'bfloat16' }) => {
    const { convertWeights } = await import('./conversion.js')
    await convertWeights(source, folder, options)
    console.log(`written to ${folder}; to see what it holds: npx switchyard inspect ${folder}`)
  })
