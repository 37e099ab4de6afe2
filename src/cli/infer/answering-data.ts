import type { FileHandle } from 'node:fs/promises'
import { ConfigError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { withPath } from '../../base/system-errors.js'
import type { Inputs, InputsOptions } from '../../data/pairs/inputs.js'
import type { TextOptions } from '../../infer/text-options.js'
import { answersOf, openForAnswers, withGenerator } from './answering.js'
import { answersOrigin, checkAnswersOrigin, writeAnswersOrigin } from './answers-origin.js'
import type { AnswersOrigin } from './answers-origin.js'
import type { Opening, Output } from './answering.js'
import { checkJsonFile, openOutput } from '../shared/output-file.js'
import { Exit } from '../shared/exit.js'
import { openAsTrained } from '../shared/inputs-as-trained.js'
import { onInterrupt } from '../shared/interrupt.js'
import { PagingLine } from '../shared/paging-report.js'
import { watchPredictions } from '../shared/progress.js'
import { linesOf } from '../shared/texts.js'

interface DataToAnswer extends InputsOptions {
  /** The file to write. Default: the standard output. */
  readonly out?: string
}

/**
 * Answers the inputs of a file, in their order. With `out` it writes one line of JSON for each to that file, as
 * `infer --json` prints it; answers that the file holds already are not computed again. What made them is kept beside
 * the file: it is not continued with another model or other options.
 */
export async function answerData(
  path: string,
  { out, ...data }: DataToAnswer,
  options: TextOptions,
  output: Output & Opening,
): Promise<void> {
  if (out !== undefined) checkJsonFile('--out', out)
  const inputs = await openAsTrained(path, data)
  try {
    if (output.target !== undefined)
      console.error(
        `each input is scored with the answer "${output.target}": to compare with the answers in a column, use switchyard eval`,
      )
    for (const note of inputs.notes) console.error(note)
    const reading = new PagingLine()
    // With a file to write, the terminal shows how many inputs are answered.
    const model = await openForAnswers(path, options, output, out === undefined ? reading : undefined)
    await withGenerator(model, reading, async generator => {
      const answersFrom = (first: number, json: boolean): AsyncGenerator<string> =>
        answersOf(model, generator, linesFrom(inputs, first), options, { ...output, json })
      if (out === undefined) {
        for await (const line of answersFrom(0, output.json)) {
          reading.erase()
          console.log(line)
        }
      } else {
        const origin = await answersOrigin(out, model.path, { ...options, bits: output.bits, target: output.target })
        await writeAnswers(out, inputs, origin, first => answersFrom(first, true))
      }
    })
  } finally {
    inputs.close()
  }
}

async function* linesFrom(inputs: Inputs, first: number): AsyncGenerator<string> {
  for (let i = first; i < inputs.length; i++) yield inputs.get(i)
}

async function writeAnswers(
  out: string,
  inputs: Inputs,
  origin: AnswersOrigin,
  answersFrom: (first: number) => AsyncGenerator<string>,
): Promise<void> {
  const interruption = onInterrupt(() => console.error('stopping; the same command continues'))
  const file = await openOutput(out, 'a+')
  try {
    if ((await file.stat()).size === 0) await writeAnswersOrigin(out, origin)
    else await checkAnswersOrigin(out, origin)
    const known = await answeredInputs(file, out, inputs)
    if (known > 0)
      console.error(
        `${out} holds ${formatCount(known)} of ${formatCount(inputs.length)} answers of this model and these options, which are kept: delete it to answer all again`,
      )
    await watchPredictions('inputs', async onProgress => {
      let done = known
      onProgress(0, inputs.length)
      for await (const line of answersFrom(known)) {
        await withPath(out, () => file.appendFile(`${line}\n`))
        onProgress(++done, inputs.length)
        if (interruption.signal.aborted) throw new Exit(130)
      }
    })
    console.error(`${formatCount(inputs.length)} answers in ${out}`)
  } finally {
    interruption.stop()
    await file.close()
  }
}

/**
 * How many of the inputs a file holds answers to. A last line that was not written to its end is cut off. Throws a
 * ConfigError if a line is no answer to the input at its place.
 */
async function answeredInputs(file: FileHandle, out: string, inputs: Inputs): Promise<number> {
  const { size } = await file.stat()
  let known = 0
  let bytes = 0
  for await (const line of linesOf(file.createReadStream({ start: 0, autoClose: false }))) {
    const length = Buffer.byteLength(line) + 1
    if (bytes + length > size) {
      await file.truncate(bytes)
      break
    }
    if (known >= inputs.length || inputOf(line) !== inputs.get(known))
      throw new ConfigError(
        `${out}, line ${known + 1}: this is no answer to input ${known + 1} of the data; give --out another file, or delete this one`,
      )
    bytes += length
    known++
  }
  return known
}

function inputOf(line: string): unknown {
  try {
    return (JSON.parse(line) as { input?: unknown } | null)?.input
  } catch {
    return undefined
  }
}
