import { createInterface } from 'node:readline/promises'
import { Readable } from 'node:stream'
import { Command, Option } from 'commander'
import { ConfigError } from '../base/errors.js'
import type { TextGenerator, TextModel } from '../infer/text-generator.js'
import type { TextOptions } from '../infer/text-options.js'
import { anyNumber, wholeNumber } from './options.js'

interface InferOptions extends TextOptions {
  json?: boolean
}

export const inferCommand = (): Command => new Command('infer')
  .description('run a model: a line out for each text (or for each of its answers), input TAB output; an empty line for an empty text')
  .argument('<model>', 'a run, such as runs/g2p, or a folder of Hugging Face (config.json, weights, vocabulary)')
  .argument('[texts...]', 'what to run it on; without any: the lines of the standard input, or a prompt')
  .option('--json', 'a line of JSON for each text: input, answers with their tokens, and scores of beam search')
  .option('--max-new-tokens <n>', 'how many tokens an answer has at most', wholeNumber(1))
  .option('--min-new-tokens <n>', 'and at least', wholeNumber(0))
  .option('--num-beams <n>', 'beam search with so many beams', wholeNumber(1))
  .option('--num-returned <n>', 'how many answers of beam search', wholeNumber(1))
  .option('--length-penalty <x>', 'of beam search: above 0 long answers gain', anyNumber)
  .option('--temperature <x>', 'sampling: below 1 likely tokens become likelier', anyNumber)
  .option('--top-k <n>', 'sampling: from the k likeliest tokens', wholeNumber(1))
  .option('--top-p <x>', 'sampling: from the likeliest tokens that have this share', anyNumber)
  .option('--min-p <x>', 'sampling: from tokens at least this share as likely as the likeliest', anyNumber)
  .option('--seed <n>', 'sampling: the same seed, the same text', wholeNumber(0))
  .option('--repetition-penalty <x>', 'above 1 tokens that came before are less likely', anyNumber)
  .option('--no-repeat-ngram <n>', 'no sequence of so many tokens comes twice', wholeNumber(1))
  .addOption(new Option('--stop <text...>', 'the answer ends where one of these texts has come'))
  .action(async (path: string, texts: string[], { json = false, ...options }: InferOptions) => {
    const { openTextModel } = await import('./text-model.js')
    const { TextGenerator } = await import('../infer/text-generator.js')
    const { searchOf } = await import('../infer/text-options.js')
    const { linesOf } = await import('./texts.js')
    const model = await openTextModel(path, options.maxNewTokens)
    // What is wrong with the options is said before anything is read.
    searchOf(options, model.codec.targets, model.options.maxNewTokens)
    const generator = new TextGenerator(model)
    if (texts.length === 0 && process.stdin.isTTY) return prompt(generator, options)
    const lines = texts.length > 0 ? Readable.from(texts) : linesOf(process.stdin)
    let count = 0
    for await (const output of answersOf(model, generator, lines[Symbol.asyncIterator](), options, json)) {
      console.log(output)
      count++
    }
    if (count === 0) console.error(`nothing came on the standard input; to give texts: switchyard infer ${path} "your text"`)
  })

/** How many lines are answered at once. */
const AT_ONCE = 64

/** What comes out for each line in, in order and as soon as it is there, while more lines are read and answered. */
async function* answersOf(model: TextModel, generator: TextGenerator, lines: AsyncIterator<string>, options: TextOptions, json: boolean): AsyncGenerator<string> {
  const waiting: Promise<string>[] = []
  let reading: Promise<IteratorResult<string>> | null = lines.next()
  while (reading || waiting.length > 0) {
    const isRead: boolean = reading !== null && waiting.length < AT_ONCE && await Promise.race([reading.then(() => true), ...waiting.slice(0, 1).map(w => w.then(() => false))])
    if (!isRead) {
      yield await waiting.shift()!
      continue
    }
    const line: IteratorResult<string> = await reading!
    reading = line.done ? null : lines.next()
    if (line.done) continue
    const output = answerLine(model, generator, line.value, options, json)
    output.catch(() => undefined)
    waiting.push(output)
  }
}

async function answerLine(model: TextModel, generator: TextGenerator, line: string, options: TextOptions, json: boolean): Promise<string> {
  const { fillBlanks } = await import('../infer/blanks.js')
  const { escapeControls: escape } = await import('./texts.js')
  if (line.trim() === '') return json ? JSON.stringify({ input: line, answers: [] }) : ''
  await warnOfUnknown(model, line)
  const answers = await generator.answer(line, options)
  const filled = answers.map(({ tokens }) => fillBlanks(line, tokens, model.codec.targets))
  if (!json) return answers.map(({ text }, i) => `${escape(line)}\t${escape(filled[i] ?? text)}`).join('\n')
  return JSON.stringify({
    input: line,
    answers: answers.map(({ text, tokens, score }, i) => ({
      text, tokens, ...(Number.isNaN(score) ? {} : { score }), ...(filled[i] === null ? {} : { filled: filled[i] }),
    })),
  })
}

async function warnOfUnknown({ codec }: TextModel, input: string): Promise<void> {
  const { escapeControls, unknownSymbols } = await import('./texts.js')
  const unknown = unknownSymbols(codec, input)
  if (unknown.length > 0) console.error(`warning: ${escapeControls(input)}: the model has never seen ${unknown.map(s => `"${escapeControls(s)}"`).join(', ')}`)
}

/** Answers line by line, each piece as it is made, until the input ends. Ctrl-C ends an answer, or the prompt. */
async function prompt(generator: TextGenerator, options: TextOptions): Promise<void> {
  if ((options.numReturned ?? 1) > 1) throw new ConfigError('at the prompt there is one answer for each text: leave --num-returned out')
  const { escapeControls } = await import('./texts.js')
  const terminal = createInterface({ input: process.stdin, output: process.stdout, prompt: '> ' })
  let current: AbortController | null = null
  let isOpen = true
  terminal.on('SIGINT', () => { if (current) current.abort(); else terminal.close() })
  terminal.on('close', () => { isOpen = false })
  console.log('a text and Enter; Ctrl-C ends an answer, Ctrl-D the prompt')
  try {
    terminal.prompt()
    for await (const line of terminal) {
      if (line.trim() !== '') {
        current = new AbortController()
        await show(generator.stream(line, { ...options, signal: current.signal }), current.signal, escapeControls)
        current = null
      }
      if (isOpen) terminal.prompt()
    }
  } finally {
    terminal.close()
  }
}

async function show(pieces: AsyncIterable<string>, signal: AbortSignal, escape: (text: string) => string): Promise<void> {
  try {
    for await (const piece of pieces) process.stdout.write(escape(piece))
  } catch (error) {
    if (!signal.aborted) throw error
  }
  process.stdout.write('\n')
}
