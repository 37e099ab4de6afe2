import { resolve } from 'node:path'
import { ConfigError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { withPath } from '../../base/system-errors.js'
import { expertsOf } from '../../checkpoint/experts/from-weights.js'
import type { Weights } from '../../checkpoint/weights.js'
import type { Inputs, InputsOptions } from '../../data/pairs/inputs.js'
import { findFiles } from '../../data/sources/find-files.js'
import type { PassObserver } from '../../infer/expert-choices.js'
import { TRACE_FORMAT } from '../../infer/paging/trace.js'
import type { TraceHeader } from '../../infer/paging/trace.js'
import { TextGenerator } from '../../infer/text-generator.js'
import { loadOpened, openTextWeights } from '../../open/text-model.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import { Exit } from '../shared/exit.js'
import { openAsTrained } from '../shared/inputs-as-trained.js'
import { onInterrupt } from '../shared/interrupt.js'
import { checkJsonFile, openOutput } from '../shared/output-file.js'
import type { PagingOptions } from '../shared/paging-options.js'
import { watchPredictions } from '../shared/progress.js'
import { findModelValues } from '../shared/model-values.js'

interface TracingOptions extends PagingOptions {
  /** The file to write. Default: the standard output. */
  readonly out?: string
  /** How many inputs. Default: all. */
  readonly examples?: number
  /** How many inputs are answered together. */
  readonly rows: number
  readonly maxNewTokens?: number
  readonly checkpoint?: CheckpointChoice
}

/** Answers the inputs of a file, in their order, and writes a trace of the experts that their tokens met. */
export async function traceExperts(model: string, data: InputsOptions, options: TracingOptions): Promise<void> {
  const { out } = options
  if (out !== undefined) {
    checkJsonFile('--out', out)
    if ((await findFiles(data.path)).some(file => resolve(file) === resolve(out)))
      throw new ConfigError(`--out ${out}: this is the data, which would be overwritten: choose another name`)
  }
  const inputs = await openAsTrained(model, data)
  try {
    for (const note of inputs.notes) console.error(note)
    if (out === undefined) return await writeTrace(model, inputs, options, line => void process.stdout.write(line))
    const file = await openOutput(out, 'w')
    try {
      await writeTrace(model, inputs, options, line => withPath(out, () => file.appendFile(line)))
    } finally {
      await file.close()
    }
  } finally {
    inputs.close()
  }
}

async function writeTrace(
  path: string,
  inputs: Inputs,
  { out, examples = inputs.length, rows, maxNewTokens, checkpoint, expertsMemory, pins }: TracingOptions,
  write: (line: string) => void | Promise<void>,
): Promise<void> {
  const opening = {
    maxNewTokens,
    checkpoint,
    expertsMemory,
    pins,
    findValues: findModelValues,
    onNotice: (message: string) => console.error(message),
  }
  const opened = await openTextWeights(path, opening)
  const header = await headerOf(opened.weights)
  const onPass: PassObserver = pass => write(`${JSON.stringify(pass)}\n`)
  const generator = new TextGenerator(await loadOpened(opened, opening), { maxRows: rows, onPass })
  await write(`${JSON.stringify(header)}\n`)
  const count = Math.min(examples, inputs.length)
  const interruption = onInterrupt(() => console.error('stopping; the trace ends with the current answers'))
  try {
    await watchPredictions('inputs', async onProgress => {
      onProgress(0, count)
      let [next, done] = [0, 0]
      const answer = async (): Promise<void> => {
        while (next < count && !interruption.signal.aborted) {
          const text = inputs.get(next++)
          if (text.trim() !== '') await generator.answer(text)
          onProgress(++done, count)
        }
      }
      await Promise.all(Array.from({ length: rows }, answer))
    })
    if (interruption.signal.aborted) throw new Exit(130)
  } finally {
    interruption.stop()
    await generator.close()
  }
  if (out !== undefined) console.error(`${out}: the experts that the tokens of ${formatCount(count)} inputs met`)
}

/** Closes the weights if they have no experts. */
async function headerOf(weights: Weights): Promise<TraceHeader> {
  try {
    const source = await expertsOf(weights)
    await source.close()
    const stacks = source.stacks.map(({ path, numExperts, bytes }) => ({ path, numExperts, bytes }))
    return { format: TRACE_FORMAT, version: 1, model: weights.path, stacks }
  } catch (error) {
    await weights.close()
    throw error
  }
}
