import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ConfigError, FileError } from '../../base/errors.js'
import { RunLock } from '../../checkpoint/run-lock.js'
import { overrideConfig } from '../../config/overrides.js'
import { fittedConfig } from '../../config/fitted-config.js'
import { UserValues } from '../../config/user-values.js'
import { defineTask } from '../../data/define-task.js'
import { mapPreprocessor } from '../../data/preprocessors/seqio/map-preprocessor.js'
import { functionSource } from '../../data/sources/iterable-source.js'
import type { Task } from '../../data/task.js'
import { pairsTask } from '../../data/tasks/pairs.js'
import { pairsSettingsOf } from '../../data/pairs/settings.js'
import { textMetrics } from '../../metrics/text-metrics.js'
import { ByteVocabulary } from '../../text/bytes.js'
import { Trainer } from '../../train/trainer.js'
import { convertWeights } from '../convert/conversion.js'
import { answerData } from '../infer/answering-data.js'
import { evalCommand } from './eval.js'
import { evaluateRun } from './evaluating.js'
import { evaluateOnData } from './evaluating-data.js'

let folder: string
let run: string

/** What a command prints on the standard output. */
async function printed(command: () => Promise<void>): Promise<string> {
  const lines: string[] = []
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line))
  try {
    await command()
  } finally {
    log.mockRestore()
  }
  return lines.join('\n')
}

const linesOf = async (path: string): Promise<Record<string, unknown>[]> =>
  (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-eval-'))
  run = join(folder, 'run')
  const file = join(folder, 'pairs.tsv')
  await writeFile(file, Array.from({ length: 200 }, (_, i) => `${i.toString(2)}\t${i % 2 ? 'odd' : 'even'}\n`).join(''))
  const task = await pairsTask(file)
  const small = ['model.dModel=8', 'model.dFf=8', 'model.numHeads=1', 'model.headDim=8', 'model.numExperts=2']
  const steps = [
    'train.steps=4',
    'train.checkpointEvery=2',
    'train.keep=2',
    'train.rows=2',
    'train.schedule.warmupSteps=0',
  ]
  const trainer = await Trainer.begin(overrideConfig(fittedConfig(task), [...small, ...steps]), { task })
  await trainer.run(run)
}, 120_000)

afterAll(() => rm(folder, { recursive: true, force: true }))

describe('evaluateRun', () => {
  it('prints answers and figures, and writes figures and predictions as JSON Lines', async () => {
    const json = join(folder, 'out.jsonl')
    const output = await printed(() => evaluateRun(run, { split: 'test', metric: ['accuracy,squad', 'bleu'], json }))
    expect(output).toMatch(/^ {4}input +predicted +truth\n/)
    expect(output).toMatch(/\n\naccuracy [\d.]+%, em [\d.]+, f1 [\d.]+, bleu [\d.]+, on \d+ held-out pairs$/)
    const [summary, ...records] = await linesOf(json)
    expect(summary).toEqual({
      model: join(run, 'step-4'),
      step: 4,
      task: 'pairs',
      split: 'test',
      examples: records.length,
      total: records.length,
      metrics: {
        accuracy: { accuracy: expect.any(Number) },
        squad: { em: expect.any(Number), f1: expect.any(Number) },
        bleu: { bleu: expect.any(Number) },
      },
    })
    for (const record of records)
      expect(record).toEqual({
        input: expect.stringMatching(/^[01]+$/),
        target: expect.stringMatching(/^(odd|even)$/),
        prediction: expect.any(String),
        right: record.prediction === record.target,
      })
    const share = records.filter(({ right }) => right).length / records.length
    expect((summary.metrics as { accuracy: { accuracy: number } }).accuracy.accuracy).toBeCloseTo(100 * share, 10)
  }, 60_000)

  it('prints every wrong answer with --errors', async () => {
    const json = join(folder, 'errors.jsonl')
    const output = await printed(() => evaluateRun(run, { split: 'test', errors: true, json }))
    expect(await printed(() => evaluateRun(run, { split: 'test', errors: true, expertsMemory: 2000 }))).toBe(output)
    await expect(evaluateRun(run, { split: 'test', expertsMemory: 100 })).rejects.toThrow('one expert takes')
    const wrong = (await linesOf(json)).slice(1).filter(({ right }) => right === false)
    expect(wrong.length).toBeGreaterThan(0)
    for (const { input, prediction, target } of wrong)
      expect(output).toContain(`input      ${input}\npredicted  ${prediction}\ntruth      ${target}`)
    expect(output.match(/^input /gm)).toHaveLength(wrong.length)
  }, 60_000)

  it.each([{ all: true }, { watch: true }] as const)(
    'evaluates each checkpoint of a run: %o',
    async options => {
      const output = await printed(() =>
        evaluateRun(run, { split: 'validation', metric: ['wrongAnswers'], ...options }),
      )
      expect(output).toMatch(
        /^step 2 {2}wrong answers [\d.]+%, on \d+ held-out pairs?\nstep 4 {2}.*\nbest: step [24] with wrong answers [\d.]+%$/,
      )
    },
    60_000,
  )

  it('waits for new checkpoints of a run while it is trained', async () => {
    const trained = join(folder, 'trained')
    await cp(join(run, 'step-2'), join(trained, 'step-2'), { recursive: true })
    const lock = await RunLock.acquire(trained)
    const output = await printed(async () => {
      const watching = evaluateRun(trained, { split: 'test', metric: ['accuracy'], watch: true })
      await sleep(1000)
      await cp(join(run, 'step-4'), join(trained, 'step-4'), { recursive: true })
      await lock.release()
      await watching
    })
    expect(output).toMatch(/^step 2 {2}accuracy .*\nstep 4 {2}accuracy .*\nbest: step [24] with accuracy/)
  }, 60_000)

  it('evaluates the tasks of a mixture one by one, and a task without answers by its loss', async () => {
    const loadTask = vi.spyOn(UserValues.prototype, 'loadTask').mockImplementation(async (_, codec) => {
      const task = await pairsTask(join(folder, 'pairs.tsv'), codec)
      const silent = { ...task, name: 'silent', split: () => [], tokens: task.tokens.bind(task) }
      const members = [task, silent].map(member => ({ task: member, rate: 1 }))
      return { ...task, name: 'both', members }
    })
    try {
      const output = await printed(() => evaluateRun(run, { split: 'test', metric: ['accuracy'] }))
      expect(output).toMatch(
        /\n\npairs: accuracy [\d.]+%, on \d+ held-out pairs\n\nsilent: loss [\d.]+, tokens right [\d.]+%, on \d+ pairs?$/,
      )
    } finally {
      loadTask.mockRestore()
    }
  }, 60_000)

  it('refuses an unknown metric, and options that exclude each other', async () => {
    await expect(evaluateRun(run, { split: 'test', metric: ['blue'] })).rejects.toThrow('did you mean bleu?')
    await expect(evaluateRun(run, { split: 'test', all: true, errors: true })).rejects.toThrow('--errors')
  })
})

describe('evaluateOnData', () => {
  it('scores any model on the pairs of a file', async () => {
    const data = join(folder, 'labels.csv')
    const json = join(folder, 'labels.jsonl')
    await writeFile(data, 'text,label\n101,1\n110,0\n111,1\n110,1\n')
    const options = { labels: '0=even,1=odd', metric: ['accuracy', 'bleu'], json }
    const output = await printed(() => evaluateOnData(run, data, options))
    expect(await printed(() => evaluateOnData(run, data, { ...options, expertsMemory: 2000 }))).toBe(output)
    expect(output).toMatch(/\n\naccuracy [\d.]+%, bleu [\d.]+, on 3 examples$/)
    const [summary, ...records] = await linesOf(json)
    expect(summary).toMatchObject({ model: run, data, examples: 3, total: 3 })
    expect(records.map(({ input, target, alternatives }) => [input, target, alternatives])).toEqual([
      ['101', 'odd', undefined],
      ['110', 'even', ['odd']],
      ['111', 'odd', undefined],
    ])
    await expect(evaluateOnData(run, data, { all: true })).rejects.toThrow('--all')
    const content = await readFile(data, 'utf8')
    await expect(evaluateOnData(run, data, { json: data })).rejects.toThrow('would be overwritten')
    const other = join(folder, 'notes.csv')
    await expect(evaluateOnData(run, data, { json: other })).rejects.toThrow(`--json ${join(folder, 'notes.jsonl')}`)
    expect(await readFile(data, 'utf8')).toBe(content)
  }, 60_000)
})

describe('evaluateOnData with a run of a file', () => {
  it('uses its columns, labels and split column, and says so', async () => {
    const own = join(folder, 'own.csv')
    const row = (i: number): string => `${i.toString(2)},${i % 2},note,${i % 3 === 0 ? 'test' : 'train'}\n`
    await writeFile(own, `text,parity,other,part\n${Array.from({ length: 60 }, (_, i) => row(i)).join('')}`)
    const given = { path: own, input: 'text', target: 'parity', split: 'part', labels: '0=even,1=odd' }
    const task = await pairsTask(pairsSettingsOf(given))
    const small = ['model.dModel=8', 'model.dFf=8', 'model.numHeads=1', 'model.headDim=8', 'model.numExperts=2']
    const short = ['train.steps=1', 'train.rows=2', 'train.schedule.warmupSteps=0']
    const trained = join(folder, 'labelled')
    await (await Trainer.begin(overrideConfig(fittedConfig(task), [...small, ...short]), { task })).run(trained)

    const data = join(folder, 'new.csv')
    await writeFile(data, 'other,text,parity,part\nn,101,1,test\nn,110,0,test\nn,1111,odd,train\n')
    const errors: string[] = []
    const log = vi.spyOn(console, 'error').mockImplementation((line: string) => void errors.push(line))
    try {
      const json = join(folder, 'new.jsonl')
      expect(await printed(() => evaluateOnData(trained, data, { json }))).toMatch(/, on 2 examples$/m)
      expect(errors).toContain(`as in the training of ${trained}: --input text --target parity --labels "0=even,1=odd"`)
      expect(errors).toContain('only rows whose "part" is test are scored (--split all: all rows)')
      const records = (await linesOf(json)).slice(1)
      expect(records.map(({ input, target }) => [input, target])).toEqual([
        ['101', 'odd'],
        ['110', 'even'],
      ])
      expect(await printed(() => evaluateOnData(trained, data, { split: 'all' }))).toMatch(/, on 3 examples$/m)
      expect(await printed(() => evaluateOnData(trained, data, { split: 'train' }))).toMatch(/, on 1 examples?$/m)
      await expect(evaluateOnData(trained, data, { split: 'validation' })).rejects.toThrow(
        `${data}: no row's "part" is validation; --split all scores all rows`,
      )
      // What is given replaces what the run had; columns that a file lacks are recognized.
      await writeFile(data, 'sentence,label\n101,1\n')
      errors.length = 0
      expect(await printed(() => evaluateOnData(trained, data, { labels: '1=one' }))).toMatch(/wrong: one\n/)
      expect(errors.join('\n')).not.toContain('as in the training')
      expect(errors).toContain(
        `warning: ${trained} was trained with the target column "parity", which ${data} does not have: another column is taken (--target names it)`,
      )
      // The run's words for labels are those of its own column.
      errors.length = 0
      expect(await printed(() => evaluateOnData(trained, data, {}))).toMatch(/wrong: 1\n/)
      await expect(evaluateOnData(trained, data, { split: 'test' })).rejects.toThrow('leave --split out')
    } finally {
      log.mockRestore()
    }
  }, 60_000)
})

describe('a file is read as the model was trained', () => {
  const small = ['model.dModel=8', 'model.dFf=8', 'model.numHeads=1', 'model.headDim=8', 'model.numExperts=2']
  const short = ['train.steps=1', 'train.rows=2', 'train.schedule.warmupSteps=0', 'train.evalExamples=2']
  const train = async (task: Task, out: string): Promise<string> => {
    await (await Trainer.begin(overrideConfig(fittedConfig(task), [...small, ...short]), { task })).run(out)
    await convertWeights(out, `${out}-native`, { to: 'native' })
    return out
  }
  const inputsOf = async (model: string, data: { path: string; input?: string }): Promise<unknown[]> =>
    (await printed(() => answerData(model, data, {}, { json: true })))
      .split('\n')
      .map(line => (JSON.parse(line) as { input: unknown }).input)

  beforeAll(() => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined)
  })
  afterAll(() => vi.restoreAllMocks())

  it('by the columns of its run, also after a conversion', async () => {
    const own = join(folder, 'swapped.csv')
    const row = (i: number): string => `${i % 2 ? 'is odd' : 'is even'},x,${i.toString(2)}\n`
    await writeFile(own, `text,other,code\n${Array.from({ length: 60 }, (_, i) => row(i)).join('')}`)
    const model = await train(
      await pairsTask(pairsSettingsOf({ path: own, input: 'code', target: 'text' })),
      join(folder, 'swapped'),
    )
    const data = join(folder, 'swapped-new.csv')
    await writeFile(data, 'text,other,code\nis odd,x,101\nis even,x,110\n')
    for (const path of [model, `${model}-native`]) {
      expect(await inputsOf(path, { path: data })).toEqual(['101', '110'])
      expect(await inputsOf(path, { path: data, input: 'other' })).toEqual(['x', 'x'])
      // The targets are labels by the training data. The two rows of this file alone would not show it.
      expect(await printed(() => evaluateOnData(path, data, {}))).toMatch(
        /\n +110 .*\n\nwrong answers [\d.]+%, on 2 examples$/,
      )
    }
    const stored = await readFile(join(`${model}-native`, 'checkpoint.json'), 'utf8')
    expect(stored).toContain('"path": "swapped.csv"')
    // The training data is known by its content, wherever it is and also for converted weights.
    const warning = (path: string, advice: string): string =>
      `warning: ${path} was trained on most of this data: ${advice}`
    const copy = join(folder, 'renamed.csv')
    await cp(own, copy)
    const warnings = async (path: string, file: string): Promise<string[]> => {
      vi.mocked(console.error).mockClear()
      await printed(() => evaluateOnData(path, file, { examples: 2 }))
      return vi
        .mocked(console.error)
        .mock.calls.flat()
        .map(String)
        .filter(line => line.includes('was trained on'))
    }
    for (const file of [own, copy]) {
      expect(await warnings(model, file)).toEqual([
        warning(model, 'without --data, eval scores the held-out part alone'),
      ])
      expect(await warnings(`${model}-native`, file)).toEqual([warning(`${model}-native`, 'score it on other data')])
    }
    await writeFile(copy, `${await readFile(own, 'utf8')}is odd,x,111\n`)
    expect(await warnings(model, copy)).toEqual([])
    const bare = join(folder, 'bare.tsv')
    await writeFile(
      bare,
      Array.from({ length: 60 }, (_, i) => `${i % 2 ? 'odd' : 'even'}\t${i.toString(2)}\n`).join(''),
    )
    const numbered = await train(
      await pairsTask(pairsSettingsOf({ path: bare, input: '2', target: '1', skipBadRows: true })),
      join(folder, 'numbered'),
    )
    const damaged = join(folder, 'bare-new.tsv')
    await writeFile(damaged, 'odd\t101\nodd\neven\t110\n')
    expect(await inputsOf(numbered, { path: damaged })).toEqual(['101', '110'])
    expect(await printed(() => evaluateOnData(numbered, damaged, {}))).toMatch(/, on 2 examples$/m)
    expect(console.error).toHaveBeenCalledWith(expect.stringMatching(/^as in the training of .* --skip-bad-rows$/))
  }, 60_000)

  it("by its task's preprocessors, also after a conversion", async () => {
    const vocabulary = new ByteVocabulary()
    const rows = Array.from({ length: 60 }, (_, i) => ({ word: `w${i}`, size: i, mark: i % 2 ? 'odd' : 'even' }))
    const opened = vi.fn(() => rows)
    const definition = defineTask({
      name: 'sized',
      source: functionSource('rows', opened),
      preprocessors: [
        mapPreprocessor('sized', ({ word, mark }) => ({ inputs: `say: ${word as string}`, targets: mark })),
      ],
      features: { inputs: { vocabulary }, targets: { vocabulary } },
      units: { one: 'word', many: 'words' },
    })
    const load = vi
      .spyOn(UserValues.prototype, 'loadTask')
      .mockImplementation((_, codec, options) => definition.load(codec, options))
    const model = await train(await definition.load(), join(folder, 'sized'))
    const data = join(folder, 'sized.csv')
    opened.mockClear()
    try {
      for (const path of [model, `${model}-native`]) {
        await writeFile(data, 'size,word\n1,abc\n2,de\n')
        expect(await inputsOf(path, { path: data })).toEqual(['say: abc', 'say: de'])
        await writeFile(data, 'text\nabc\n')
        expect(await inputsOf(path, { path: data })).toEqual(['say: abc'])
        await expect(evaluateOnData(path, data, {})).rejects.toThrow(
          `${data}: the task sized makes its targets of "mark", and this file has no such column`,
        )
        await writeFile(data, 'mark,word,other\nodd,abc,x\neven,de,y\n')
        const json = join(folder, 'sized.jsonl')
        const output = await printed(() => evaluateOnData(path, data, { json }))
        expect(output).toMatch(/symbol error rate [\d.]+%, wrong answers [\d.]+%, on 2 words/)
        expect((await linesOf(json)).slice(1)).toMatchObject([
          { input: 'say: abc', target: 'odd' },
          { input: 'say: de', target: 'even' },
        ])
        expect(await inputsOf(path, { path: data, input: 'other' })).toEqual(['say: x', 'say: y'])
      }
      // The run keeps what is needed of its source.
      expect(opened).not.toHaveBeenCalled()
      // A wrong definition is an error, and no reason to read the data in another way.
      load.mockImplementation(() => Promise.reject(new ConfigError('my.config.ts: the task sized: its features: gone')))
      for (const path of [model, `${model}-native`]) {
        await expect(inputsOf(path, { path: data })).rejects.toThrow('my.config.ts: the task sized: its features: gone')
        await expect(evaluateOnData(path, data, {})).rejects.toThrow('its features: gone')
      }
      // Older versions did not keep it: the source is read, and the file by its columns if the source is missing.
      const info = join(`${model}-native`, 'checkpoint.json')
      const { checksum, checksums, ...rest } = JSON.parse(await readFile(info, 'utf8')) as Record<string, unknown>
      expect([checksum, checksums]).not.toContain(undefined)
      const { data: kept, ...task } = rest.task as Record<string, unknown>
      expect(kept).toMatchObject({ digests: [], needs: expect.arrayContaining([]) })
      await writeFile(info, JSON.stringify({ ...rest, version: 1, task }))
      load.mockImplementation((_, codec, options) => definition.load(codec, options))
      expect(await inputsOf(`${model}-native`, { path: data })).toEqual(['say: abc', 'say: de'])
      expect(opened).toHaveBeenCalledTimes(1)
      const missing = Object.assign(new Error('ENOENT'), { code: 'ENOENT' })
      opened.mockImplementation(() => {
        throw new FileError('rows.csv: there is no such file', { cause: missing })
      })
      await writeFile(data, 'text,label\nabc,odd\n')
      expect(await inputsOf(`${model}-native`, { path: data })).toEqual(['abc'])
      expect(console.error).toHaveBeenCalledWith(
        expect.stringContaining(
          "columns alone, without the preprocessors of the model's task, which cannot be opened: the task sized: rows.csv: there is",
        ),
      )
    } finally {
      load.mockRestore()
    }
    // Without the task's definition, the columns are read as they are.
    await writeFile(data, 'text,label\nabc,odd\n')
    for (const path of [model, `${model}-native`]) {
      expect(await inputsOf(path, { path: data })).toEqual(['abc'])
      expect(await printed(() => evaluateOnData(path, data, {}))).toMatch(/, on 1 examples?$/m)
    }
    const notes = vi.mocked(console.error).mock.calls.map(([note]) => String(note))
    const warning = 'warning: the data is read by its columns alone'
    expect(notes.filter(note => note.startsWith(warning) && note.includes('"sized" is not built in'))).toHaveLength(4)
  }, 60_000)
})

describe('answerData', () => {
  it('answers the inputs of a file in their order, and continues a file that was begun', async () => {
    const data = join(folder, 'inputs.csv')
    const out = join(folder, 'new/answers.jsonl')
    await writeFile(data, 'id,text\n1,101\n2," 11\u2028 0"\n3,111\n4,0\n')
    const answer = (path = data): Promise<void> => answerData(run, { path, out }, {}, { json: false })
    await answer()
    const whole = await readFile(out, 'utf8')
    const lines = whole.trimEnd().split('\n')
    expect(lines.map(line => (JSON.parse(line) as { input: string }).input)).toEqual(['101', '11\u2028 0', '111', '0'])
    // The third line was not written to its end; the second one is not computed again.
    const kept = lines[1].replace('"answers":', '"kept":')
    await writeFile(out, `${lines[0]}\n${kept}\n${lines[2].slice(0, 12)}`)
    await answer()
    expect(await readFile(out, 'utf8')).toBe(whole.replace(lines[1], kept))
    // Nothing is left to do.
    await answer()
    expect(await readFile(out, 'utf8')).toBe(whole.replace(lines[1], kept))

    // Another checkpoint, or other options: their answers do not belong together.
    const advice = `Give --out another file, or delete ${out} to answer all again`
    const holds = `${out} holds answers that were made with other settings`
    const given = { path: data, out }
    await expect(answerData(run, given, { temperature: 0.5 }, { json: false })).rejects.toThrow(
      `${holds}: temperature (not given, now 0.5). ${advice}`,
    )
    await expect(answerData(run, given, {}, { json: false, checkpoint: 2, bits: 8 })).rejects.toThrow(
      `${holds}: the weights (${join(run, 'step-4')}, now ${join(run, 'step-2')}), bits (not given, now 8). ${advice}`,
    )
    await rm(`${out}.origin.json`)
    await expect(answer()).rejects.toThrow(`no ${out}.origin.json that says which model and options made them`)
    expect(await readFile(out, 'utf8')).toBe(whole.replace(lines[1], kept))
    await rm(out)
    await answer()

    const other = join(folder, 'other.txt')
    await writeFile(other, '101\n0\n')
    await expect(answer(other)).rejects.toThrow(`${out}, line 2: this is no answer to input 2 of the data`)
  }, 60_000)

  it('asks for the column if its name does not tell', async () => {
    const data = join(folder, 'columns.csv')
    await writeFile(data, 'id,first,second\n1,101,0\n')
    await expect(answerData(run, { path: data, header: true }, {}, { json: true })).rejects.toThrow(
      'as in --input first. not "id": its name is that of an id',
    )
    const output = await printed(() =>
      answerData(run, { path: data, header: true, input: 'second' }, {}, { json: true }),
    )
    expect(JSON.parse(output)).toMatchObject({ input: '0' })
  }, 60_000)
})

describe('eval', () => {
  it('lists the metrics of texts in its help', () => {
    let help = ''
    evalCommand()
      .configureOutput({ writeOut: text => void (help += text) })
      .outputHelp()
    const listed = help
      .slice(help.indexOf('Metrics of texts: '))
      .split(': ')[1]
      .split(/[\s,]+/)
    expect(listed.filter(Boolean)).toEqual(textMetrics.map(({ name }) => name))
  })
})
