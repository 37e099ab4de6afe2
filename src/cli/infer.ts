import { Command } from 'commander'
import { ConfigError } from '../base/errors.js'

export const inferCommand = (): Command => new Command('infer')
  .description('run a trained model: one line out for each text, input TAB output; an empty line for an empty text')
  .argument('<folder>', 'a run, such as runs/g2p, or one of its checkpoints')
  .argument('[texts...]', 'what to run it on; without any, the lines of the standard input')
  .action(async (folder: string, texts: string[]) => {
    const example = `switchyard infer ${folder} "your text"`
    if (texts.length === 0 && process.stdin.isTTY) throw new ConfigError(`give some texts, as in: ${example}`)
    const { openModel } = await import('../train/open-model.js')
    const { parseRunConfig } = await import('../config/validate.js')
    const { makePredictor } = await import('../infer/predictor.js')
    const { answerOptions } = await import('../train/evaluate.js')
    const { watchPredictions } = await import('./progress.js')
    const { escapeControls, linesOf, unknownSymbols } = await import('./texts.js')
    const { params, config, codec } = await openModel(folder, parseRunConfig)
    const predict = makePredictor(params, answerOptions(config), codec)
    const lines = texts.length > 0 ? texts : await linesOf(process.stdin)
    if (lines.length === 0) console.error(`nothing came on the standard input; to give texts: ${example}`)

    const inputs = lines.filter(line => line.trim() !== '')
    for (const input of inputs) {
      const unknown = unknownSymbols(codec, input)
      if (unknown.length > 0) console.error(`warning: ${escapeControls(input)}: the model has never seen ${unknown.map(s => `"${escapeControls(s)}"`).join(', ')}`)
    }
    const outputs = await watchPredictions('texts', onProgress => predict(inputs, done => onProgress(done, inputs.length)))
    let next = 0
    for (const line of lines) console.log(line.trim() === '' ? '' : `${escapeControls(line)}\t${escapeControls(outputs[next++])}`)
  })
