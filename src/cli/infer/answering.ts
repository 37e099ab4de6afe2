import { createInterface } from 'node:readline/promises'
import { Readable } from 'node:stream'
import { ConfigError } from '../../base/errors.js'
import type { Bits } from '../../checkpoint/quantize.js'
import { openTextModel } from '../../open/text-model.js'
import type { OpenedTextModel } from '../../open/text-model.js'
import type { AnswerPiece } from '../../infer/answer-piece.js'
import { answerVocabulary } from '../../infer/answer-vocabulary.js'
import { fillBlanks } from '../../infer/blanks.js'
import { TextGenerator } from '../../infer/text-generator.js'
import type { TextModel } from '../../infer/text-generator.js'
import { searchOf } from '../../infer/choose-search.js'
import type { TextOptions } from '../../infer/text-options.js'
import { specialIdsOf } from '../../model/config.js'
import { unknownIn, unknownSymbols } from '../../data/tokenizers/coverage.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import { PagingLine, pagingSummary } from '../shared/paging-report.js'
import { escapeControls, linesOf } from '../shared/texts.js'
import { findModelValues } from '../shared/model-values.js'

/** The options of the output. */
export interface Output {
  json: boolean
  /** An answer to score, instead of generating one. */
  target?: string
}

/** How the model is opened. */
export interface Opening {
  bits?: Bits
  checkpoint?: CheckpointChoice
  /** The most tokens of an input. Default: any number that memory has room for. */
  maxInputTokens?: number
  /** The memory for experts, and the file of those that stay there: see `TextModelOptions`. */
  expertsMemory?: number
  pins?: string
}

/** Answers the texts. Without texts it answers the lines of the standard input or, in a terminal, prompts for texts. */
export async function answerTexts(
  path: string,
  texts: readonly string[],
  options: TextOptions,
  output: Output & Opening,
): Promise<void> {
  const reading = new PagingLine()
  const model = await openForAnswers(path, options, output, reading)
  await withGenerator(model, reading, async generator => {
    if (texts.length === 0 && process.stdin.isTTY && output.target === undefined)
      return prompt(generator, options, reading)
    const lines = texts.length > 0 ? Readable.from(texts) : linesOf(process.stdin)
    let count = 0
    for await (const line of answersOf(model, generator, lines[Symbol.asyncIterator](), options, output)) {
      reading.erase()
      console.log(line)
      count++
    }
    if (count === 0)
      console.error(`nothing came on the standard input; give texts as arguments: switchyard infer ${path} "your text"`)
  })
}

/** Runs a task with a generator, then closes the model. If its experts were paged, says what reading them has cost. */
export async function withGenerator(
  model: TextModel,
  reading: PagingLine,
  task: (generator: TextGenerator) => Promise<void>,
): Promise<void> {
  const generator = new TextGenerator(model)
  try {
    await task(generator)
  } finally {
    reading.erase()
    const summary = pagingSummary(generator.statistics().paging)
    if (summary !== undefined) console.error(summary)
    await generator.close()
  }
}

/**
 * Opens a model. Options of generation that contradict each other are refused before any text is read. `reading` shows
 * the experts that are read.
 */
export async function openForAnswers(
  path: string,
  options: TextOptions,
  { bits, checkpoint, maxInputTokens, expertsMemory, pins, target }: Output & Opening,
  reading?: PagingLine,
): Promise<OpenedTextModel> {
  const model = await openTextModel(path, {
    maxNewTokens: options.maxNewTokens,
    bits,
    checkpoint,
    limits: { maxInputTokens },
    expertsMemory,
    pins,
    onPaging: reading?.show,
    generation: target === undefined ? options : false,
    findValues: findModelValues,
    onNotice: message => console.error(message),
  })
  const { config, maxNewTokens } = model.options
  if (target === undefined)
    searchOf(options, { config, limit: maxNewTokens, vocabulary: model.codec.targets, input: [] })
  else warnOfUnknown(target, unknownIn(model.codec.targets, target))
  return model
}

/** The maximum number of input lines that are answered concurrently. */
const AT_ONCE = 64

/**
 * The output of each input line, in order and as soon as it is ready. Meanwhile, further lines are read and answered.
 */
export async function* answersOf(
  model: TextModel,
  generator: TextGenerator,
  lines: AsyncIterator<string>,
  options: TextOptions,
  output: Output,
): AsyncGenerator<string> {
  const waiting: Promise<string>[] = []
  let reading: Promise<IteratorResult<string>> | null = lines.next()
  while (reading || waiting.length > 0) {
    const isRead: boolean =
      reading !== null &&
      waiting.length < AT_ONCE &&
      (await Promise.race([reading.then(() => true), ...waiting.slice(0, 1).map(w => w.then(() => false))]))
    if (!isRead) {
      yield await waiting.shift()!
      continue
    }
    const line: IteratorResult<string> = await reading!
    reading = line.done ? null : lines.next()
    if (line.done) continue
    const answer = answerLine(model, generator, line.value, options, output)
    answer.catch(() => undefined)
    waiting.push(answer)
  }
}

async function answerLine(
  model: TextModel,
  generator: TextGenerator,
  line: string,
  options: TextOptions,
  { json, target }: Output,
): Promise<string> {
  if (line.trim() === '') return json ? JSON.stringify({ input: line, answers: [] }) : ''
  warnOfUnknown(line, unknownSymbols(model.codec, line))
  if (target !== undefined) {
    const score = await generator.score(line, target)
    return json
      ? JSON.stringify({ input: line, target, ...score })
      : `${escapeControls(line)}\t${escapeControls(target)}\t${score.score.toFixed(4)}`
  }
  const answers = await generator.answer(line, options)
  if (answers.some(({ finish }) => finish === 'length')) warnOfCut(line, options)
  const vocabulary = answerVocabulary(model.codec.targets, specialIdsOf(model.options.config).eosIds)
  const filled = answers.map(({ tokens }) => fillBlanks(line, tokens, vocabulary))
  if (!json)
    return answers.map(({ text }, i) => `${escapeControls(line)}\t${escapeControls(filled[i] ?? text)}`).join('\n')
  return JSON.stringify({
    input: line,
    answers: answers.map(({ text, tokens, score, finish }, i) => ({
      text,
      tokens,
      finish,
      ...(Number.isNaN(score) ? {} : { score }),
      ...(filled[i] === null ? {} : { filled: filled[i] }),
    })),
  })
}

/** The option that restricts answers, if there is one. */
const restrictionOf = ({ choices, regex, jsonSchema }: TextOptions): string | undefined =>
  choices ? '--choice' : regex !== undefined ? '--regex' : jsonSchema !== undefined ? '--json-schema' : undefined

/** Warns of an answer that was cut, if its options restrict it. */
function warnOfCut(text: string, options: TextOptions): void {
  const restriction = restrictionOf(options)
  if (restriction !== undefined)
    console.error(
      `warning: ${escapeControls(text)}: the answer was cut at its most tokens (finish reason length), so it may not keep to ${restriction}: raise --max-new-tokens`,
    )
}

function warnOfUnknown(text: string, unknown: readonly string[]): void {
  if (unknown.length > 0)
    console.error(
      `warning: ${escapeControls(text)}: the model has never seen ${unknown.map(s => `"${escapeControls(s)}"`).join(', ')}`,
    )
}

/**
 * Answers texts that the user types, printing tokens as they are generated. Ctrl-C stops the answer; at the prompt it
 * quits.
 */
async function prompt(generator: TextGenerator, options: TextOptions, reading: PagingLine): Promise<void> {
  if ((options.numReturned ?? 1) > 1)
    throw new ConfigError('the prompt gives one answer for each text: leave --num-returned out')
  const terminal = createInterface({ input: process.stdin, output: process.stdout, prompt: '> ' })
  let current: AbortController | null = null
  let isOpen = true
  terminal.on('SIGINT', () => {
    if (current) current.abort()
    else terminal.close()
  })
  terminal.on('close', () => {
    isOpen = false
  })
  console.log('type a text and Enter; Ctrl-C ends an answer, Ctrl-D the prompt')
  try {
    terminal.prompt()
    for await (const line of terminal) {
      if (line.trim() !== '') {
        current = new AbortController()
        const pieces = generator.pieces(line, { ...options, signal: current.signal })
        if ((await show(pieces, current.signal, reading)) === 'length') warnOfCut(line, options)
        current = null
      }
      if (isOpen) terminal.prompt()
    }
  } finally {
    terminal.close()
  }
}

/** Prints the first answer as it grows. Returns why it ended; null if it was aborted. */
async function show(
  pieces: AsyncIterable<AnswerPiece>,
  signal: AbortSignal,
  reading: PagingLine,
): Promise<AnswerPiece['finish']> {
  let ended: AnswerPiece['finish'] = null
  try {
    for await (const { index, text, finish } of pieces) {
      if (index > 0) continue
      ended = finish
      if (text === '') continue
      reading.pause()
      process.stdout.write(escapeControls(text))
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    reading.erase()
    reading.resume()
  }
  process.stdout.write('\n')
  return ended
}
