import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConfigError, FileError } from '../../src/base/errors.js'
import { writeHfWeights } from '../../src/checkpoint/names/hf-folder.js'
import { newWeights } from '../../src/checkpoint/weights.js'
import { baseModel, baseRouter } from '../../src/model/presets.js'
import type { AnswerToken } from '../../src/infer/answer-piece.js'
import type { Opening } from '../../src/serve/models/messages.js'
import { UnreadAnswerError } from '../../src/serve/models/model-errors.js'
import type { ModelWatch } from '../../src/serve/models/model-source.js'
import { ModelProcess } from '../../src/serve/models/model-process.js'
import { openInProcesses } from '../../src/serve/models/open-in-processes.js'
import { openServedModel } from '../../src/serve/models/open-served-model.js'
import type {
  GenerateEvent,
  GenerateRequest,
  Input,
  ModelStatistics,
  ServedModel,
} from '../../src/serve/models/served-model.js'

const root = resolve(import.meta.dirname, '../..')
// Within the project, so that the built process finds the packages.
const cache = join(root, 'node_modules/.cache')
mkdirSync(cache, { recursive: true })
const scratch = mkdtempSync(join(cache, 'served-model-'))
const entry = pathToFileURL(join(scratch, 'process-entry.mjs'))

const limits = { maxInputTokens: 60, maxNewTokens: 400, maxRows: 16, maxMemoryBytes: 2 ** 26 }
const opening: Opening = { name: 'tiny', path: join(scratch, 'tiny'), limits, threads: 1 }
const encoderAlone: Opening = { ...opening, name: 'vectors', path: join(scratch, 'encoder') }
const never = new AbortController().signal

/** Folders as ByT5's are published, but tiny and with experts. Answers of random weights hardly ever end by EOS. */
async function writeModels(): Promise<void> {
  const sizes = { vocabSize: 384, dModel: 16, dFf: 16, numHeads: 2, headDim: 8, numEncoderLayers: 1, numExperts: 4 }
  const sparse = { encoderSparseLayers: [0], decoderSparseLayers: [0], numDecoderLayers: 1 }
  const tokenizer = JSON.stringify({ tokenizer_class: 'ByT5Tokenizer', extra_ids: 125 })
  const files = { 'tokenizer_config.json': new TextEncoder().encode(tokenizer) }
  const model = { ...baseModel, ...sizes, ...sparse, dtype: 'float32' } as const
  const encoder = { ...model, numDecoderLayers: 0, decoderSparseLayers: [] }
  await writeHfWeights(opening.path, newWeights('tiny', model, baseRouter, 1), { files })
  await writeHfWeights(encoderAlone.path, newWeights('encoder', encoder, baseRouter, 2), { files })
}

/** What the watched model has told, and the ids of its processes. */
class Watched implements ModelWatch {
  readonly notices: string[] = []
  readonly availability: boolean[] = []
  readonly signal = never

  onNotice(message: string): void {
    this.notices.push(message)
  }

  onAvailable(isAvailable: boolean): void {
    this.availability.push(isAvailable)
  }
}

let here: ServedModel
beforeAll(async () => {
  await writeModels()
  await build({
    entryPoints: [join(root, 'src/serve/models/process-entry.ts')],
    outfile: join(scratch, 'process-entry.mjs'),
    bundle: true,
    packages: 'external',
    alias: { '#onnx-sessions': join(root, 'src/engine/compile/onnx/node.ts') },
    ignoreAnnotations: true,
    platform: 'node',
    format: 'esm',
  })
  here = await openServedModel(opening)
})
afterAll(async () => {
  await here.close()
  rmSync(scratch, { recursive: true })
})

async function read(model: ServedModel, request: GenerateRequest, signal = never): Promise<GenerateEvent[]> {
  const events: GenerateEvent[] = []
  for await (const event of model.generate(request, signal)) events.push(event)
  return events
}

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Reads the first events of an answer that goes on. Returns the rest. */
async function begin(model: ServedModel, signal = never): Promise<AsyncIterator<GenerateEvent>> {
  const events = model.generate({ input: 'long', options: { maxNewTokens: 400, minNewTokens: 400 } }, signal)
  const iterator = events[Symbol.asyncIterator]()
  for (let i = 0; i < 4; i++) await iterator.next()
  return iterator
}

const inputTokens = async (input: Input): Promise<readonly AnswerToken[]> =>
  typeof input === 'string'
    ? here.tokenize(input, 'input')
    : input.map(id => ({ id, text: id === 1 ? '' : String.fromCharCode(id - 3) }))

/** The statistics when no request runs any more. */
async function untilIdle(model: ServedModel): Promise<ModelStatistics> {
  for (;;) {
    const statistics = await model.statistics()
    if (statistics.running === 0) return statistics
    await setImmediate()
  }
}

async function toEnd(events: AsyncIterator<GenerateEvent>): Promise<GenerateEvent | undefined> {
  let last: GenerateEvent | undefined
  for (let next = await events.next(); !next.done; next = await events.next()) last = next.value
  return last
}

/** The bytes of an expert. */
const PAGE = 2 * 16 * 16 * 4

const kinds: [string, (opening: Opening) => Promise<ServedModel>, expertsMemory?: number][] = [
  ['in this process', openServedModel],
  ['in another process', given => openInProcesses({ limits, entry })(given, new Watched())],
  [
    'in two processes that page experts',
    given => openInProcesses({ limits, entry, replicas: 2 })({ ...given, expertsMemory: 4 * PAGE }, new Watched()),
    2 * PAGE,
  ],
]
describe.each(kinds)('a served model %s', (_, open, expertsMemory) => {
  let model: ServedModel
  beforeAll(async () => {
    model = await open(opening)
  })
  afterAll(() => model.close())

  it('says what it is', () => {
    expect(model.facts).toEqual({
      name: 'tiny',
      path: opening.path,
      created: expect.closeTo(Date.now() / 1000, -2) as number,
      parameters: here.facts.parameters,
      answers: true,
      dimension: null,
      maxInputTokens: 60,
      longestToken: expect.any(Number) as number,
      maxNewTokens: 400,
      experts: { encoder: [4], decoder: [4] },
      expertsMemory,
    })
  })

  it.each<[string, GenerateRequest]>([
    ['greedily', { input: 'hello', options: { maxNewTokens: 12 } }],
    ['by sampling', { input: 'hello', options: { maxNewTokens: 12, temperature: 2, seed: 7 } }],
    ['by beam search', { input: 'hello', options: { maxNewTokens: 12, numBeams: 3, numReturned: 2 } }],
    ['to token ids', { input: [107, 104, 1], options: { maxNewTokens: 12 } }],
  ])('answers %s', async (__, request) => {
    const events = await read(model, request)
    expect(events).toEqual(await read(here, request))
    expect(events[0]).toEqual({ kind: 'input', tokens: await inputTokens(request.input) })
    expect(events.at(-1)).toMatchObject({ kind: 'piece', finish: 'length' })
  })

  it('answers many at once as it answers each alone', async () => {
    const requests = Array.from({ length: 24 }, (__, i): GenerateRequest => {
      const input = 'many words'.slice(0, 1 + (i % 9))
      return { input, options: { maxNewTokens: 1 + ((i * 7) % 40), ...(i % 3 === 0 && { temperature: 1.5, seed: i }) } }
    })
    const together = await Promise.all(requests.map(request => read(model, request)))
    for (const [i, request] of requests.entries()) expect(together[i]).toEqual(await read(here, request))
  })

  it('scores answers', async () => {
    const request = { input: 'hello', targets: ['ja', 'nein'] }
    const before = await model.statistics()
    const scores = await model.score(request, never)
    // The input is encoded once for all answers.
    expect((await model.statistics()).inputTokens - before.inputTokens).toBe(6)
    for (const [i, { score, tokens }] of (await here.score(request, never)).entries()) {
      expect(scores[i].score).toBeCloseTo(score, 5)
      expect(scores[i].tokens.map(({ id }) => id)).toEqual(tokens.map(({ id }) => id))
    }
    expect(scores.map(({ tokens }) => tokens.map(({ text }) => text))).toEqual([
      ['j', 'a', ''],
      ['n', 'e', 'i', 'n', ''],
    ])
    const ids = { input: [107, 104, 111, 111, 114, 1], targets: [[109, 100]], top: 2 }
    const [scored] = await model.score(ids, never)
    expect(scored.tokens).toMatchObject([
      { id: 109, top: [{}, {}] },
      { id: 100, top: [{}, {}] },
    ])
    expect(scored.tokens[0].logProbability).toBeCloseTo(scores[0].tokens[0].logProbability!, 5)
    const sum = scores[0].tokens.reduce((total, { logProbability = NaN }) => total + logProbability, 0)
    expect(scores[0].score).toBeCloseTo(sum, 5)
  })

  it('tells tokens, and the text of tokens', async () => {
    const tokens = await model.tokenize('hé', 'input')
    expect(tokens).toEqual([
      { id: 107, text: 'h' },
      { id: 198, text: '\ufffd', bytes: [195] },
      { id: 172, text: '\ufffd', bytes: [169] },
      { id: 1, text: '' },
    ])
    const ids = tokens.map(({ id }) => id)
    expect(await model.detokenize(ids, 'input')).toBe('hé')
    expect(await model.tokenize('hé', 'answer')).toEqual(tokens)
    expect(await model.detokenize(ids, 'answer')).toBe('hé')
  })

  it.each<[string, GenerateRequest, string]>([
    ['a long input', { input: 'a'.repeat(99), options: {} }, 'the input has 100 tokens, and at most 60'],
    ['a wrong token', { input: [384, 1], options: {} }, 'the input has the token id 384'],
    ['contradictions', { input: 'a', options: { doSample: false, seed: 1 } }, 'doSample is false'],
  ])('refuses %s before the first event', async (__, request, message) => {
    const next = model.generate(request, never)[Symbol.asyncIterator]().next()
    await expect(next).rejects.toThrow(ConfigError)
    await expect(next).rejects.toThrow(message)
  })

  it('refuses to make vectors', async () => {
    await expect(model.embed({ texts: ['a'] }, never)).rejects.toThrow(ConfigError)
  })

  it('ends an answer when its signal is aborted, with its reason', async () => {
    const controller = new AbortController()
    const answer = await begin(model, controller.signal)
    controller.abort(new Error('the client has gone'))
    await expect(toEnd(answer)).rejects.toThrow('the client has gone')
    await expect(read(model, { input: 'a', options: {} }, controller.signal)).rejects.toThrow('the client has gone')
    await expect(model.score({ input: 'a', targets: ['b'] }, controller.signal)).rejects.toThrow('the client has gone')
  })

  it.each<[string, (answer: AsyncIterator<GenerateEvent>, client: AbortController) => Promise<unknown>]>([
    ['whose signal is aborted', (answer, client) => (client.abort(), answer.next().catch(() => undefined))],
    ['whose reader leaves', answer => answer.return!()],
  ])('frees the row of an answer %s within one step', async (__, leave) => {
    const client = new AbortController()
    const answer = await begin(model, client.signal)
    expect(await model.statistics()).toMatchObject({ running: 1, waiting: 0 })
    await leave(answer, client)
    const { steps } = await model.statistics()
    expect((await untilIdle(model)).steps - steps).toBeLessThanOrEqual(1)
  })

  it('counts what it does', async () => {
    const before = await model.statistics()
    await read(model, { input: 'hello', options: { maxNewTokens: 12 } })
    const after = await model.statistics()
    const sum = ({ expertTokens }: ModelStatistics): number => expertTokens.flat().reduce((a, b) => a + b, 0)
    expect(after).toMatchObject({ running: 0, waiting: 0, memoryBytes: 0 })
    expect(after.maxMemoryBytes).toBeGreaterThanOrEqual(limits.maxMemoryBytes)
    expect(after.inputTokens - before.inputTokens).toBe(6)
    expect(after.generatedTokens - before.generatedTokens).toBe(12)
    expect(after.steps - before.steps).toBe(12)
    expect(after.expertTokens.map(layer => layer.length)).toEqual([4])
    expect(sum(after) - sum(before)).toBe(12)
    if (expertsMemory === undefined) return
    const [, decoder] = after.paging!.stacks
    expect(decoder).toMatchObject({ path: 'decoder/layers_0/mlp/expert', misses: expect.any(Number) as number })
    expect(decoder.hits + decoder.misses - before.paging!.stacks[1].hits - before.paging!.stacks[1].misses).toBe(12)
    expect(after.paging!.traffic.disk).toBe(PAGE * after.paging!.stacks.reduce((n, { misses }) => n + misses, 0))
  })

  it('ends what runs with an error when it is closed, and takes nothing more', async () => {
    const ended = expect(begin(model).then(toEnd)).rejects.toThrow('the model tiny is closed')
    const running = await begin(model)
    const alsoEnded = expect(toEnd(running)).rejects.toThrow('the model tiny is closed')
    await model.close()
    await Promise.all([ended, alsoEnded])
    await expect(read(model, { input: 'a', options: {} })).rejects.toThrow('the model tiny is closed')
    await model.close()
  })
})

describe.each(kinds.slice(0, 2))('a model of vectors %s', (_, open) => {
  it('gives vectors, and refuses answers', async () => {
    const model = await open(encoderAlone)
    const { vectors, tokens } = await model.embed({ texts: ['hello', 'you'] }, never)
    expect(tokens).toEqual([6, 4])
    expect(vectors.map(vector => [vector.constructor, vector.length])).toEqual([
      [Float32Array, 16],
      [Float32Array, 16],
    ])
    const alone = await (await openServedModel(encoderAlone)).embed({ texts: ['you'] }, never)
    for (const [i, x] of vectors[1].entries()) expect(x).toBeCloseTo(alone.vectors[0][i], 5)
    const ofIds = await model.embed({ texts: [[124, 114, 120, 1]] }, never)
    for (const [i, x] of ofIds.vectors[0].entries()) expect(x).toBeCloseTo(vectors[1][i], 5)
    await expect(model.embed({ texts: [[384]] }, never)).rejects.toThrow('the text has the token id 384')
    expect(model.facts).toMatchObject({ answers: false, dimension: 16, experts: { encoder: [4], decoder: [] } })
    await expect(read(model, { input: 'a', options: {} })).rejects.toThrow(ConfigError)
    await expect(model.embed({ texts: ['a', 'b'.repeat(60)] }, never)).rejects.toThrow('the text 1 has 61 tokens')
    await model.close()
  })
})

describe('the process of a model', () => {
  it('is started again when it is killed: what it was answering fails, what comes meanwhile waits', async () => {
    const watched = new Watched()
    const model = await ModelProcess.start(opening, watched, entry)
    const running = toEnd(await begin(model))
    const failed = expect(running).rejects.toThrow(
      'the process of the model tiny has ended (SIGKILL) while it answered this request; it is started again',
    )
    const [{ pid }, { inputTokens }] = [model, await model.statistics()]
    expect(inputTokens).toBe(5)
    process.kill(pid!, 'SIGKILL')
    await failed
    expect(model.isAvailable).toBe(false)
    const request = { input: 'hello', options: { maxNewTokens: 12 } }
    expect(await read(model, request)).toEqual(await read(here, request))
    expect((await model.statistics()).inputTokens).toBe(inputTokens + 6)
    expect(model.pid).not.toBe(pid)
    // Signals of its group are the server's business.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(model.pid!, signal)
    expect(await toEnd(await begin(model))).toMatchObject({ finish: 'length' })
    expect(watched.availability).toEqual([false, true])
    expect(watched.notices).toEqual([
      'its process has ended (SIGKILL), as a system ends processes when memory is short; it is started again',
    ])
    await model.close()
    expect(watched.availability).toEqual([false, true])
  })

  it('is ended and started again when it hangs', async () => {
    const watched = new Watched()
    const soon = { interval: 0.05, idleSeconds: 0.2, busySeconds: 600 }
    const model = await ModelProcess.start(opening, watched, entry, soon)
    const running = toEnd(await begin(model))
    const failed = expect(running).rejects.toThrow(
      'the process of the model tiny hung and was ended while it answered this request; it is started again',
    )
    const { pid } = model
    process.kill(pid!, 'SIGSTOP')
    // Its statistics are those of before.
    const stopped = model.statistics()
    await failed
    await expect(stopped).rejects.toThrow('hung and was ended')
    const request = { input: 'hello', options: { maxNewTokens: 12 } }
    expect(await read(model, request)).toEqual(await read(here, request))
    expect(model.pid).not.toBe(pid)
    expect(watched.notices).toEqual([
      'its process hung and was ended: it answered nothing for 0.2 seconds, and used no processor time; it is started again',
    ])
    await model.close()
  })

  it('ends as soon as the process that started it is gone, also while it computes', async () => {
    const script = join(scratch, 'computes.mjs')
    const built = join(scratch, 'end-with-parent.mjs')
    await build({ entryPoints: [join(root, 'src/serve/models/end-with-parent.ts')], outfile: built, format: 'esm' })
    writeFileSync(
      script,
      `import { endWithParent } from './end-with-parent.mjs'; endWithParent(); setTimeout(() => { process.send('computes'); for (;;); }, 500)`,
    )
    // A parent that is killed while its child never comes back to its event loop.
    const parent = spawn(
      process.execPath,
      [
        '-e',
        `
      const child = require('node:child_process').fork(${JSON.stringify(script)})
      child.on('message', () => { console.log(child.pid) })`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const [pid] = (await once(parent.stdout, 'data')) as [Buffer]
    expect(isRunning(Number(pid))).toBe(true)
    parent.kill('SIGKILL')
    while (isRunning(Number(pid))) await sleep(10)
  })

  it('gives up an answer that nobody reads', async () => {
    const model = await ModelProcess.start(opening, new Watched(), entry)
    const before = await model.statistics()
    const unread = await begin(model)
    const after = await untilIdle(model)
    expect(after.generatedTokens - before.generatedTokens).toBeLessThan(300)
    const reading = toEnd(unread)
    await expect(reading).rejects.toThrow(UnreadAnswerError)
    await expect(reading).rejects.toThrow('the client does not read: 256 parts of its answer wait')
    await model.close()
  })

  it('says why a model cannot be opened', async () => {
    const path = join(scratch, 'nothing')
    const opened = ModelProcess.start({ ...opening, path }, new Watched(), entry)
    await expect(opened).rejects.toThrow(FileError)
    await expect(opened).rejects.toThrow(path)
  })

  it('says if the model does not fit into memory together with its answers', async () => {
    const huge = { ...opening, limits: { ...limits, maxMemoryBytes: 2 ** 50 } }
    await expect(openServedModel(huge)).rejects.toThrow(
      /tiny: this model with 1\.00 PiB for its answers takes about .*: allow less for answers \(maxMemoryBytes, --max-cache\)/,
    )
  })

  it('says if its copies do not fit into memory together', async () => {
    const copies = { ...opening, limits: { ...limits, maxMemoryBytes: 2 ** 20 }, copies: 2 ** 28 }
    await expect(openServedModel(copies)).rejects.toThrow(
      /tiny: 268435456 copies \(replicas\) of this model with 1\.00 MiB for its answers takes? about .*: load fewer copies/,
    )
  })

  it('finds custom values of a model by a module', async () => {
    const module = "export const findModelValues = () => { throw new TypeError('the router zigzag is not here') }"
    const opened = ModelProcess.start(
      { ...opening, valuesModule: `data:text/javascript,${encodeURIComponent(module)}` },
      new Watched(),
      entry,
    )
    await expect(opened).rejects.toThrow('the router zigzag is not here')
  })

  it('is started again at once, then after growing waits, if it keeps ending', async () => {
    const [script, starts] = [join(scratch, 'crashes.mjs'), join(scratch, 'starts')]
    writeFileSync(
      script,
      `import { appendFileSync, readFileSync } from 'node:fs'
      process.addListener('message', ({ kind, opening }) => {
        if (kind === 'call') process.exit(7)
        if (kind !== 'open') return
        appendFileSync(${JSON.stringify(starts)}, opening.path + '\\n')
        const count = readFileSync(${JSON.stringify(starts)}, 'utf8').split('\\n').length - 1
        process.send(count === 2 ? { kind: 'failed', error: { name: 'FileError', message: 'the disk is gone' } } : { kind: 'opened', facts: { path: 'step-7' } })
      })`,
    )
    const watched = new Watched()
    const model = await ModelProcess.start(opening, watched, pathToFileURL(script))
    await expect(model.tokenize('a', 'input')).rejects.toThrow('has ended (exit code 7) while it answered')
    // What waits for a start that fails gets its error; what comes after that waits for the next start.
    await expect(model.tokenize('a', 'input')).rejects.toThrow(new FileError('the disk is gone'))
    await expect(model.tokenize('a', 'input')).rejects.toThrow('has ended (exit code 7) while it answered')
    expect(watched.notices).toEqual([
      'its process has ended (exit code 7); it is started again',
      'the disk is gone; it is started again in 0.5 s',
      'its process has ended (exit code 7); it is started again in 1 s',
    ])
    expect(watched.availability).toEqual([false, true, false])
    // The second start opens the same checkpoint. The third takes any, since the second has failed.
    expect(readFileSync(starts, 'utf8').split('\n')).toEqual([opening.path, 'step-7', opening.path, ''])
    const waiting = expect(model.tokenize('a', 'input')).rejects.toThrow('the model tiny is closed')
    await model.close()
    await waiting
  })

  it('may end while it loads', async () => {
    const watched = new Watched()
    const script = join(scratch, 'ends.mjs')
    writeFileSync(script, 'process.exit(3)')
    await expect(ModelProcess.start(opening, watched, pathToFileURL(script))).rejects.toThrow(
      'the process that loads the model tiny has ended (exit code 3)',
    )
    await sleep(0)
    expect(watched).toMatchObject({ notices: [], availability: [] })
  })

  it('is ended when the server stops while it loads', async () => {
    const stop = new AbortController()
    const opened = ModelProcess.start(opening, { ...new Watched(), signal: stop.signal } as Watched, entry)
    stop.abort(new Error('stopped'))
    await expect(opened).rejects.toThrow('stopped')
  })
})

describe('replicas', () => {
  it('share the work, and answer while one of them is started again', async () => {
    const watched = new Watched()
    const model = await openInProcesses({ limits, entry, replicas: 2 })(opening, watched)
    const pids = watched.notices
      .at(-1)!
      .match(/process \d+/g)!
      .map(text => Number(text.slice(8)))
    expect(pids).toHaveLength(2)
    const [first, second] = [await begin(model), await begin(model)]
    const failed = expect(toEnd(first)).rejects.toThrow('has ended (SIGKILL)')
    process.kill(pids[0], 'SIGKILL')
    await failed
    expect(watched.availability).toEqual([true])
    await read(model, { input: 'hello', options: { maxNewTokens: 4 } })
    expect(await toEnd(second)).toMatchObject({ finish: 'length' })
    expect(watched.notices.at(-1)).toMatch(/^replica 1: its process has ended \(SIGKILL\)/)
    await model.close()
  })
})
