import type { InputsOptions } from '../../data/pairs/inputs.js'
import { ConfigError } from '../../base/errors.js'
import { openAsTrained } from '../shared/inputs-as-trained.js'
import { linesOf } from '../shared/texts.js'

/** Texts in order. Those of a window are embedded together. */
export interface TextsToEmbed {
  readonly windows: AsyncIterable<readonly string[]>
  /** How many texts there are; undefined if that is not known yet. */
  readonly count?: number
  close(): void
}

/** The most texts of a window. */
const WINDOW = 1024

/** Opens given texts, the inputs of a file, or the lines of the standard input. Prints what is noted of a file. */
export async function openTexts(model: string, source: readonly string[] | InputsOptions): Promise<TextsToEmbed> {
  if ('path' in source) {
    const inputs = await openAsTrained(model, source)
    for (const note of inputs.notes) console.error(note)
    return { windows: slices(inputs.length, i => inputs.get(i)), count: inputs.length, close: () => inputs.close() }
  }
  const close = (): void => undefined
  if (source.length > 0) return { windows: slices(source.length, i => source[i]), count: source.length, close }
  if (process.stdin.isTTY)
    throw new ConfigError(
      `give texts: switchyard embed ${model} "your text", a file with --data, or lines on the standard input`,
    )
  return { windows: notEmpty(windowsOf(linesOf(process.stdin)), model), close }
}

/** Says what to do if the standard input has no lines. */
async function* notEmpty(windows: AsyncIterable<readonly string[]>, model: string): AsyncGenerator<readonly string[]> {
  let isEmpty = true
  for await (const window of windows) {
    isEmpty = false
    yield window
  }
  if (isEmpty)
    console.error(
      `nothing came on the standard input; give texts as arguments: switchyard embed ${model} "your text", or a file with --data`,
    )
}

async function* slices(count: number, get: (i: number) => string): AsyncGenerator<readonly string[]> {
  for (let start = 0; start < count; start += WINDOW)
    yield Array.from({ length: Math.min(WINDOW, count - start) }, (_, i) => get(start + i))
}

/** Lines in windows. A window ends early when no further line has arrived. */
export async function* windowsOf(lines: AsyncIterable<string>, size = WINDOW): AsyncGenerator<readonly string[]> {
  const iterator = lines[Symbol.asyncIterator]()
  let next = iterator.next()
  for (let line = await next; !line.done; line = await next) {
    const window = [line.value]
    next = iterator.next()
    while (window.length < size && (await hasArrived(next))) {
      const further = await next
      if (further.done) break
      window.push(further.value)
      next = iterator.next()
    }
    yield window
  }
}

/** Whether a promise is settled before the event loop's next turn. */
const hasArrived = (promise: Promise<unknown>): Promise<boolean> =>
  Promise.race([promise.then(() => true), new Promise<boolean>(resolve => setImmediate(() => resolve(false)))])
