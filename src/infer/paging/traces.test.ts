import { describe, expect, it } from 'vitest'
import { sparseModel } from '../../../test/small-model.js'
import { jit } from '../../engine/api/jit.js'
import * as random from '../../engine/api/random.js'
import { initParameters } from '../../model/init.js'
import { declareParameters } from '../../model/parameters.js'
import { preset } from '../../model/presets.js'
import { ByteVocabulary } from '../../text/bytes.js'
import type { AnswerToken } from '../answer-piece.js'
import type { RoutedPass } from '../expert-choices.js'
import { TextGenerator } from '../text-generator.js'
import { heatMap } from './heat-map.js'
import { PageNumbers } from './pages.js'
import { checkPins, choosePins, pinList, pinnedPages } from './pins.js'
import { countTokens, readTrace, TRACE_FORMAT, turnsOf } from './trace.js'

const shapes = ['encoder', 'decoder'].map(stack => ({
  path: `${stack}/layers_1/mlp/expert`,
  numExperts: 4,
  bytes: 64,
}))
const pages = new PageNumbers(shapes)
const header = { format: TRACE_FORMAT, version: 1, model: 'tiny', stacks: shapes }
const encoding: RoutedPass = { stack: 'encoder', tokens: [5, 6, 1], experts: [[3, 0, 3]] }
const step: RoutedPass = { stack: 'decoder', tokens: [0], experts: [[2]] }

async function* linesOf(...lines: unknown[]): AsyncGenerator<string> {
  for (const line of lines) yield typeof line === 'string' ? line : JSON.stringify(line)
}

async function read(...lines: unknown[]): Promise<RoutedPass[]> {
  const passes: RoutedPass[] = []
  for await (const pass of (await readTrace('t.jsonl', linesOf(...lines))).passes) passes.push(pass)
  return passes
}

describe('an observer of passes', () => {
  it('gets the experts of all tokens, in the order of a run, and holds the run until it resolves', async () => {
    const vocabulary = new ByteVocabulary()
    const base = preset('switch-base-8')
    const router = { ...base.router, selectedExperts: 2 }
    const config = sparseModel({ vocabSize: vocabulary.size, decoderSparseLayers: [1], numExperts: 4 })
    const seen: RoutedPass[] = []
    let isObserving = false
    const generator = new TextGenerator(
      {
        params: jit(() => initParameters(declareParameters(config, router), random.key(5)))(),
        options: { config, router, maxNewTokens: 3 },
        codec: { inputs: vocabulary, targets: vocabulary, prepare: text => text },
      },
      {
        onPass: async pass => {
          expect(isObserving).toBe(false)
          isObserving = true
          await new Promise(resolve => setTimeout(resolve, 1))
          isObserving = false
          seen.push(pass)
        },
      },
    )
    const answered = ['hello', 'a'].map(async text => {
      let inputs: readonly AnswerToken[] = []
      const tokens: AnswerToken[] = []
      const options = { experts: true, minNewTokens: 3, onInput: (own: readonly AnswerToken[]) => (inputs = own) }
      for await (const piece of generator.pieces(text, options)) tokens.push(...piece.tokens)
      return { inputs, tokens }
    })
    const [first, second] = await Promise.all(answered)
    const inputs = [...first.inputs, ...second.inputs]
    const byLayer = (tokens: readonly AnswerToken[], layers: number): number[][] =>
      Array.from({ length: layers }, (_, layer) => tokens.flatMap(({ experts }) => experts![layer]))
    expect(seen.map(({ stack }) => stack)).toEqual(['encoder', 'decoder', 'decoder', 'decoder'])
    expect(seen[0]).toEqual({ stack: 'encoder', tokens: inputs.map(({ id }) => id), experts: byLayer(inputs, 2) })
    expect(seen[1].tokens).toEqual([0, 0])
    for (const place of [0, 1]) {
      const tokens = [first.tokens[place], second.tokens[place]]
      const expected = { stack: 'decoder', tokens: tokens.map(({ id }) => id), experts: byLayer(tokens, 1) }
      expect(seen[2 + place]).toEqual(expected)
    }
  })
})

describe('a trace', () => {
  it('is read pass by pass; its turns want each expert once', async () => {
    const dropped: RoutedPass = { stack: 'decoder', tokens: [7, 8], experts: [[-1, 1, -1, -1]] }
    expect(await read(header, encoding, step, dropped)).toEqual([encoding, step, dropped])
    expect([encoding, step, dropped].flatMap(pass => turnsOf(pass, pages))).toEqual([
      { stack: 0, pages: Int32Array.of(0, 3) },
      { stack: 1, pages: Int32Array.of(6) },
      { stack: 1, pages: Int32Array.of(5) },
    ])
    expect(turnsOf({ ...step, experts: [[-1]] }, pages)).toEqual([])
  })

  it.each([
    ['', /t\.jsonl: this is no trace/],
    [{ ...header, version: 2 }, /no trace/],
    [{ ...header, stacks: [] }, /no trace/],
    [{ ...header, stacks: [{ ...shapes[0], path: 'encoder/<b>' }] }, /no trace/],
    [{ ...header, stacks: [null] }, /no trace/],
  ])('is refused for the header %j', async (first, message) => {
    await expect(read(first, encoding)).rejects.toThrow(message)
    await expect(read()).rejects.toThrow(/no trace/)
  })

  it.each([
    JSON.stringify(encoding).slice(0, -4),
    { ...encoding, stack: 'middle' },
    { ...encoding, tokens: [5, 6] },
    { ...encoding, tokens: [] },
    { ...step, experts: [[4]] },
    { ...step, experts: [[2], [2]] },
    { ...step, experts: [[1.5]] },
    'null',
  ])('is refused at the line %j', async line => {
    await expect(read(header, step, line)).rejects.toThrow(/t\.jsonl, line 3: this is no pass/)
  })
})

describe('a list of pinned experts', () => {
  const turns = [encoding, encoding, encoding, step, step, { ...step, experts: [[1]] }].flatMap(pass =>
    turnsOf(pass, pages),
  )

  it('has the experts that turns use most, in half of the slots, and is read again', () => {
    expect(choosePins(turns, pages, 4)).toEqual(new Set([0, 3]))
    const pinned = choosePins(turns, pages, 8)
    expect(pinned).toEqual(new Set([0, 3, 6]))
    const list = pinList('tiny', pinned, pages)
    expect(list.pins).toEqual([
      { stack: shapes[0].path, experts: [0, 3] },
      { stack: shapes[1].path, experts: [2] },
    ])
    expect(pinnedPages('p.json', JSON.parse(JSON.stringify(list)), pages)).toEqual(pinned)
  })

  it('is refused if it is none, is of another model, or leaves no slot', () => {
    const list = pinList('tiny', new Set([7]), pages)
    expect(() => pinnedPages('p.json', { format: 'x' }, pages)).toThrow(/p\.json: this is no list of pinned experts/)
    const other = new PageNumbers(shapes.map(shape => ({ ...shape, numExperts: 2 })))
    const json = JSON.parse(JSON.stringify(list))
    expect(() => pinnedPages('p.json', json, other)).toThrow(/p\.json.*tiny.*expert 3 of decoder/)
    expect(() => pinnedPages('p.json', json, new PageNumbers(shapes.slice(0, 1)))).toThrow(/pins decoder\/layers_1/)
    expect(() => checkPins(new Set([1, 2]), 2, pages)).toThrow(/2 pinned experts take 128 B.*room for 2/)
    expect(() => checkPins(new Set([1]), 2, pages)).not.toThrow()
  })
})

it('a heat map has a cell for each expert, darkest for the most tokens', () => {
  const counts = new Float64Array(pages.count)
  for (const pass of [encoding, step]) countTokens(pass, pages, counts)
  expect([...counts]).toEqual([1, 0, 0, 2, 0, 0, 1, 0])
  const svg = heatMap('tiny <model>', pages, counts)
  expect(svg.match(/<title>/g)).toHaveLength(8)
  expect(svg).toContain('fill="rgb(8,48,107)"><title>encoder/layers_1/mlp/expert, expert 3: 2 tokens</title>')
  expect(svg).toContain('fill="#ffffff"><title>decoder/layers_1/mlp/expert, expert 3: 0 tokens</title>')
  expect(svg).toContain('tiny &lt;model&gt;')
  expect(svg).toContain('decoder/layers_1: 1 of 4 met')
})
