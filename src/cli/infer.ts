import { Command } from 'commander'
import { ConfigError } from '../base/errors.js'

export const inferCommand = (): Command => new Command('infer')
  .description('run a trained model: one line out for each text, input TAB output')
  .argument('<folder>', 'a run, such as runs/g2p, or one of its checkpoints')
  .argument('[texts...]', 'what to run it on; without any, the lines of the standard input')
  .action(async (folder: string, texts: string[]) => {
    if (texts.length === 0 && process.stdin.isTTY) throw new ConfigError(`give some texts, as in: switchyard infer ${folder} "your text"`)
    const { openModel } = await import('../train/open-model.js')
    const { parseRunConfig } = await import('../config/validate.js')
    const { makePredictor } = await import('../train/predictor.js')
    const { params, config, codec } = await openModel(folder, parseRunConfig)
    const predict = makePredictor(params, config, codec)
    const inputs = texts.length > 0 ? texts : await linesOf(process.stdin)
    const outputs = await predict(inputs)
    inputs.forEach((input, i) => console.log(`${input}\t${outputs[i]}`))
  })

/** The lines of a stream that hold something. */
async function linesOf(stream: NodeJS.ReadableStream): Promise<string[]> {
  const { createInterface } = await import('node:readline')
  const lines: string[] = []
  for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
    if (line.trim() !== '') lines.push(line)
  }
  return lines
}
