import { FileError } from '../../base/errors.js'
import type { RoutedPass } from '../expert-choices.js'
import type { PageNumbers, StackShape } from './pages.js'
import type { Turn } from './turn.js'

/**
 * The first line of a trace. A trace is a file of JSON Lines that says which experts the tokens of a run met, in the
 * order in which the run met them. Each further line is a `RoutedPass`.
 */
export interface TraceHeader {
  readonly format: typeof TRACE_FORMAT
  readonly version: 1
  /** The model's folder or name. */
  readonly model: string
  readonly stacks: readonly StackShape[]
}

export const TRACE_FORMAT = 'switchyard expert trace'

/** Reads a trace from its lines. Throws a FileError that names the file and the line that is not of a trace. */
export async function readTrace(
  path: string,
  lines: AsyncIterable<string>,
): Promise<{ readonly header: TraceHeader; readonly passes: AsyncGenerator<RoutedPass> }> {
  const iterator = lines[Symbol.asyncIterator]()
  const first = await iterator.next()
  const header = first.done ? undefined : parsed(first.value)
  if (!isHeader(header))
    throw new FileError(
      `${path}: this is no trace of experts: its first line must be a JSON object with "format": "${TRACE_FORMAT}", as switchyard experts trace writes it`,
    )
  return { header, passes: passesOf(path, iterator, header) }
}

async function* passesOf(
  path: string,
  lines: AsyncIterator<string>,
  header: TraceHeader,
): AsyncGenerator<RoutedPass, void, undefined> {
  const shapes = { encoder: shapesOf(header, 'encoder'), decoder: shapesOf(header, 'decoder') }
  for (let number = 2; ; number++) {
    const line = await lines.next()
    if (line.done) return
    const pass = parsed(line.value)
    if (!isPass(pass, shapes))
      throw new FileError(
        `${path}, line ${number}: this is no pass of the model that the first line describes: write the trace again, or cut it before this line`,
      )
    yield pass
  }
}

/** The stacks of the encoder or of the decoder. */
const shapesOf = ({ stacks }: TraceHeader, half: RoutedPass['stack']): readonly StackShape[] =>
  stacks.filter(({ path }) => path.startsWith(`${half}/`))

function parsed(line: string): unknown {
  try {
    return JSON.parse(line) as unknown
  } catch {
    return undefined
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0

function isHeader(value: unknown): value is TraceHeader {
  const { format, version, model, stacks } = (value ?? {}) as Partial<TraceHeader>
  return (
    format === TRACE_FORMAT &&
    version === 1 &&
    typeof model === 'string' &&
    Array.isArray(stacks) &&
    stacks.length > 0 &&
    stacks.every(
      (stack: Partial<StackShape> | null) =>
        /^(en|de)coder\/[\w/]+$/.test(String(stack?.path)) && isCount(stack!.numExperts) && isCount(stack!.bytes),
    )
  )
}

function isPass(
  value: unknown,
  shapes: Readonly<Record<RoutedPass['stack'], readonly StackShape[]>>,
): value is RoutedPass {
  const { stack, tokens, experts } = (value ?? {}) as Partial<RoutedPass>
  if ((stack !== 'encoder' && stack !== 'decoder') || !Array.isArray(tokens) || !Array.isArray(experts)) return false
  const ofStack = shapes[stack]
  return (
    tokens.length > 0 &&
    tokens.every(Number.isSafeInteger) &&
    experts.length === ofStack.length &&
    experts.every(
      (ofLayer: unknown, layer) =>
        Array.isArray(ofLayer) &&
        ofLayer.length % tokens.length === 0 &&
        ofLayer.every(expert => Number.isInteger(expert) && expert >= -1 && expert < ofStack[layer].numExperts),
    )
  )
}

const firstStack = ({ stack }: RoutedPass, { encoderStacks }: PageNumbers): number =>
  stack === 'encoder' ? 0 : encoderStacks

/**
 * The turns of a pass's layers: which pages each wants, in ascending order. A layer that no token routes to has none.
 */
export function turnsOf(pass: RoutedPass, pages: PageNumbers): Turn[] {
  return pass.experts.flatMap((ofLayer, layer): Turn[] => {
    const stack = firstStack(pass, pages) + layer
    const met = [...new Set(ofLayer)].filter(expert => expert >= 0).sort((a, b) => a - b)
    return met.length === 0 ? [] : [{ stack, pages: Int32Array.from(met, expert => pages.of(stack, expert)) }]
  })
}

/** Adds 1 to the count of a page for each token of a pass that met it. */
export function countTokens(pass: RoutedPass, pages: PageNumbers, counts: Float64Array): void {
  pass.experts.forEach((ofLayer, layer) => {
    const stack = firstStack(pass, pages) + layer
    for (const expert of ofLayer) if (expert >= 0) counts[pages.of(stack, expert)]++
  })
}
