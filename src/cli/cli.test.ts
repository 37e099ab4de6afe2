import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { recipes } from '../config/recipes.js'
import { symbolErrorRate, wrongAnswerRate } from '../metrics/error-rates.js'
import type { AcceptedAnswers, Metric } from '../metrics/metric.js'
import { g2pCodec } from '../data/tasks/g2p.js'
import { splitWords, WordVocabulary } from '../text/symbols.js'
import { forwardFlops } from '../model/flops.js'
import { declareParameters } from '../model/parameters.js'
import { brown } from '../data/tasks/brown.js'
import { UserValues } from '../config/user-values.js'
import { taskCodec } from '../data/task.js'
import { preset } from '../model/presets.js'
import { ByteVocabulary } from '../text/bytes.js'
import { checkFinetuneOverrides } from './shared/early-checks.js'
import { train } from './train/training.js'
import { inspectData } from './inspect/data-inspection.js'
import { main } from './main.js'
import { plotRuns } from './inspect/plotting.js'
import { describeModel, findModel } from './inspect/inspection.js'
import { countExamples, formatSamples, formatScores } from './shared/report.js'
import { unknownSymbols } from '../data/tokenizers/coverage.js'
import { escapeControls, linesOf } from './shared/texts.js'

describe('bad rows', () => {
  it('are left out by an option, which the message names as it is written', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-bad-rows-'))
    const path = join(folder, 'bad.tsv')
    await writeFile(path, 'a\tb\na\tb\tc\n')
    const error = vi.spyOn(console, 'error').mockReturnValue()
    try {
      expect(await main(['train', '--data', path, '--no-header'])).toBe(1)
      expect(error.mock.calls.join()).toMatch(/Correct them, or leave them out \(--skip-bad-rows\)$/)
    } finally {
      error.mockRestore()
      await rm(folder, { recursive: true })
    }
  })
})

describe('a mesh of devices', () => {
  it('is a setting, and needs a backend that has as many', async () => {
    const [log, error] = [vi.spyOn(console, 'log').mockReturnValue(), vi.spyOn(console, 'error').mockReturnValue()]
    try {
      expect(await main(['train', 'g2p', '--mesh', 'data=2,expert=2', '--print-config'])).toBe(0)
      expect(log.mock.calls.join()).toMatch(/mesh.*data.*2.*expert.*2.*tensor.*1/s)
      expect(await main(['train', 'g2p', '--mesh', 'data=2,expert=2', '--set', 'train.mesh=data=2'])).toBe(2)
      expect(error.mock.calls.join()).toContain(
        'train.mesh data=2,expert=2 needs 4 devices, and the backend onnx has one: add --backend xla, start as many processes (switchyard launch), or train on one device with --mesh data=1',
      )
      expect(await main(['train', 'g2p', '--mesh', 'model=2'])).toBe(2)
      expect(error.mock.calls.join()).toContain('such as data=2,expert=2')
    } finally {
      log.mockRestore()
      error.mockRestore()
    }
  })
})

describe('inspect', () => {
  it('counts two FLOPs for each weight that a token meets', () => {
    const { model, router } = recipes.g2p
    const { dModel, dFf, numHeads, headDim, numExperts, vocabSize } = model
    const attention = 4 * dModel * numHeads * headDim
    const mlp = 2 * dModel * dFf
    const [layers, sparse] = [2, 1]
    const input = layers * (attention + mlp) + sparse * dModel * numExperts + (layers * attention) / 2
    const target = layers * (attention + attention / 2 + mlp) + sparse * dModel * numExperts + vocabSize * dModel
    expect(forwardFlops(declareParameters(model, router))).toEqual({ input: 2 * input, target: 2 * target })
  })

  it('reads a folder of Hugging Face', async () => {
    const fixture = fileURLToPath(new URL('../../test/fixtures/switch-tiny', import.meta.url))
    const { model } = await findModel(fixture)
    expect(model).toMatchObject({ dModel: 32, numExperts: 4, reference: 'hf' })
    expect(describeModel(await findModel(fixture.replace('tiny', 'bf16')))).toMatch(
      /stored as +huggingface, bfloat16 \(49 parameters\)\n +experts +4 in 1 of 2 encoder and 1 of 2 decoder layers\n/,
    )
  })

  it('writes layers that are the same once', async () => {
    const text = describeModel(await findModel('switch-base-8'))
    expect(text.match(/^ {2}\w+\/layers_[\d,]+$/gm)).toEqual(
      ['encoder', 'decoder'].flatMap(stack => [`  ${stack}/layers_0,2,4,6,8,10`, `  ${stack}/layers_1,3,5,7,9,11`]),
    )
    expect(text).toContain('bytes in bfloat16                 1,238,678,016 (1.15 GiB)')
  })
})

describe('plot', () => {
  it('writes a picture and says what is in it; folders with the same name are called by their paths', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-plot-'))
    const runs = ['a/run', 'b/run'].map(run => join(folder, run))
    for (const run of runs) {
      await mkdir(run, { recursive: true })
      await writeFile(join(run, 'metrics.jsonl'), '{"step":1,"loss":2}\n{"step":2,"loss":1}\n')
    }
    const out = join(folder, 'curves.svg')
    expect(await plotRuns([runs[0]], out)).toBe(`${out}: the curves of run (2 records)`)
    expect(await plotRuns(runs, out)).toBe(`${out}: the curves of ${runs[0]} (2 records), ${runs[1]} (2 records)`)
    expect(await readFile(out, 'utf8')).toMatch(/^<svg .*<\/svg>\n$/s)
    const png = join(folder, 'curves.png')
    await expect(plotRuns(runs, png)).rejects.toThrow(
      `--out ${png}: the picture is drawn as SVG, which other programs would not recognize under this name: --out ${out}`,
    )
    const deep = join(folder, 'new/folder/curves.svg')
    await plotRuns([runs[0]], deep)
    expect(await readFile(deep, 'utf8')).toMatch(/^<svg /)
    const below = join(out, 'curves.svg')
    await expect(plotRuns([runs[0]], below)).rejects.toThrow(`${below}: a part of the path is a file, not a folder`)
    await expect(inspectData('g2p', { set: [], plot: 'lengths' })).rejects.toThrow('--plot lengths.svg')
    await rm(folder, { recursive: true })
  })
})

describe('reports', () => {
  const examples = [
    { input: 'a', target: 'X', alternatives: [] },
    { input: 'b', target: 'Y', alternatives: ['Z'] },
    { input: 'c', target: 'W', alternatives: [] },
  ]
  const predictions = ['X', 'Z', 'V '.repeat(40)]
  const right = [true, true, false]
  const logLikelihoods = null

  it('show right, also right and wrong answers', () => {
    const lines = formatSamples({ examples, predictions, right, logLikelihoods }, 12).split('\n')
    expect(lines.map(line => line.trim().split(/ {2,}/).at(-1))).toEqual([
      'truth',
      'right',
      'right (also Y)',
      'wrong: W',
    ])
    expect(Math.max(...lines.map(line => line.length))).toBeLessThan(100)
    expect(formatSamples({ examples, predictions, right, logLikelihoods }, 1).split('\n')).toHaveLength(2)
  })

  it('name figures and examples in the words of the task', () => {
    const score = (metric: Metric<AcceptedAnswers, string>) => ({
      metric,
      figures: metric.compute(examples, ['X', 'Z', 'V']),
    })
    const words = { units: { one: 'word', many: 'words' } }
    const pairs = { units: { one: 'pair', many: 'pairs' } }
    const g2pScores = [
      score(symbolErrorRate('phoneme error rate (PER)', splitWords)),
      score(wrongAnswerRate('word error rate (WER)', splitWords)),
    ]
    const scores = [
      score(symbolErrorRate('symbol error rate', splitWords)),
      score(wrongAnswerRate('wrong answers', splitWords)),
    ]
    expect(formatScores({ scores: g2pScores, examples, total: 3, split: 'test' }, words)).toBe(
      'phoneme error rate (PER) 33.3%, word error rate (WER) 33.3%, on 3 held-out words',
    )
    expect(formatScores({ scores, examples, total: 6226, split: 'test' }, pairs)).toBe(
      'symbol error rate 33.3%, wrong answers 33.3%, on 3 of the 6,226 held-out pairs',
    )
    expect(formatScores({ scores, examples, total: 3, split: 'train' }, words)).toContain('on 3 training words')
    expect(countExamples(1, pairs)).toBe('1 pair')
    // Of a tagger, answers with another number of tags than words are counted.
    const vocabulary = new WordVocabulary(['a', 'b', 'c', 'N', 'V'])
    const tagged = Array.from({ length: 4 }, () => ({ input: 'a b c', target: 'N V N', alternatives: [] }))
    const evaluation = { scores, examples: tagged, total: 4, predictions: ['N V N', 'N V', '', 'V V V'] }
    const tagger = { ...pairs, codec: taskCodec({ inputs: vocabulary, targets: vocabulary }) }
    expect(formatScores(evaluation, tagger)).toContain('\n2 of 4 answers have another number of tags than words')
    expect(formatScores({ ...evaluation, predictions: tagged.map(({ target }) => target) }, tagger)).not.toContain(
      'tags',
    )
    expect(formatScores({ ...evaluation, examples }, tagger)).not.toContain('tags')
    const tooLong = { metric: scores[0].metric, figures: { 'symbol error rate': 3 } }
    expect(formatScores({ scores: [tooLong], examples, total: 3, split: 'test' }, pairs)).toMatch(
      /^symbol error rate 300.0%, on 3 held-out pairs\n\(symbol error rate: a rate above 100% means/,
    )
  })
})

describe('texts', () => {
  it('come line by line, empty ones too', async () => {
    const read = async (...chunks: Buffer[]): Promise<string[]> => {
      const lines: string[] = []
      for await (const line of linesOf(Readable.from(chunks))) lines.push(line)
      return lines
    }
    expect(await read(Buffer.from('a\r\n\n b\u2028\r'), Buffer.from('c'))).toEqual(['a', '', ' b\u2028\rc'])
    expect(await read(Buffer.from('a\n\n'))).toEqual(['a', ''])
    expect(await read(Buffer.from('é\né').subarray(0, 4), Buffer.from('é').subarray(1))).toEqual(['é', 'é'])
    expect(await read()).toEqual([])
  })

  it('are shown without control characters', () => {
    expect(escapeControls('é\ta\u001b[31m\r\u2028')).toBe('é\\ta\\u001b[31m\\r\\u2028')
  })

  it('may hold what a model has never seen', () => {
    const codec = g2pCodec()
    expect(unknownSymbols(codec, ' Café 4é')).toEqual(['é', ' ', '4'])
    expect(unknownSymbols(codec, "Don't")).toEqual([])
  })
})

it('settings are checked before any data is loaded', async () => {
  const load = vi.spyOn(brown, 'load').mockRejectedValue(new Error('loaded'))
  const set = (...settings: string[]) => ({ set: settings, out: '/nonexistent/run' })
  try {
    const warmup = ['train.steps=40', 'train.schedule.warmupSteps=50']
    await expect(train('brown', set(...warmup))).rejects.toThrow('needs more than the 40 steps of this run')
    await expect(train('brown', set('train.freeze=ruter'))).rejects.toThrow('did you mean router?')
    await expect(train('brown', set('train.rows=5', 'train.accumulate=2'))).rejects.toThrow('does not divide')
    await expect(train('brown', set('model.dFf=900000000'))).rejects.toThrow('of memory, and ')
    await expect(train('spam', set('train.stepz=4'))).rejects.toThrow('did you mean train.steps?')
    await expect(train('spam', set(...warmup))).rejects.toThrow('needs more than the 40 steps')
    const none = { data: 'none.tsv' }
    await expect(train(undefined, { ...none, ...set('train.rates=ruter=2') })).rejects.toThrow('did you mean router?')
    await expect(inspectData(undefined, { ...none, ...set('train.stepz=4') })).rejects.toThrow('train.steps?')
    const bytes = new ByteVocabulary()
    const { model, router } = preset('switch-base-8')
    const source = { path: 'google/x', container: 'huggingface', model, router }
    const codec = taskCodec({ inputs: bytes, targets: bytes })
    const tuned = (...settings: string[]) => checkFinetuneOverrides(source, codec, settings, new UserValues())
    tuned('train.steps=5')
    expect(() => tuned('train.freeze=ruter')).toThrow('the pattern "ruter" matches no parameter')
    expect(() => tuned('from.optimizer=restored', 'train.lora.rank=2')).toThrow(
      "from.optimizer=restored cannot be used here: the adapters of train.lora.rank=2 are new, and so is their optimizer's state",
    )
  } finally {
    load.mockRestore()
  }
})

describe('names that are almost right, or of another kind', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchyard-names-'))
    await mkdir(join(folder, 'runs/digits'), { recursive: true })
    await writeFile(join(folder, 'tickets.csv'), 'text,label\na,b\n')
    await writeFile(join(folder, 'runs/digits/metrics.jsonl'), '{"step":1,"loss":2}\n')
  })
  afterAll(() => rm(folder, { recursive: true }))

  const run = 'did you mean FOLDER/runs/digits?'
  const file = 'did you mean FOLDER/tickets.csv?'
  it.each([
    [
      'train FOLDER/tickets.csv',
      'FOLDER/tickets.csv is a file, and no recipe: npx switchyard train --data FOLDER/tickets',
    ],
    ['data inspect FOLDER/tickets.csv', 'npx switchyard data inspect --data FOLDER/tickets.csv reads it'],
    ['train FOLDER/runs/digits', 'FOLDER/runs/digits is a folder, and no recipe: npx switchyard train --resume FOLDER'],
    ['train --task g2q', 'there is no recipe or task "g2q"; did you mean g2p?'],
    ['train g2p --task brown', 'give one name, g2p or --task brown'],
    ['train switch-base-8', 'switch-base-8 is the name of a model, and no recipe or task'],
    ['finetune g2p --task g2p-full', '"g2p-full" is a recipe, and no task: train g2p-full runs it'],
    ['train FOLDER/tikcets.csv', file],
    ['train --data FOLDER/tikcets.csv', file],
    ['infer FOLDER/runs/digits --data FOLDER/ticket.csv', file],
    ['config explain FOLDER/runs/digit', run],
    ['config diff g2p FOLDER/runs/digit', run],
    ['eval FOLDER/runs/digit', run],
    ['eval FOLDER/runs/digit --data FOLDER/tickets.csv', run],
    ['infer FOLDER/runs/digit x', run],
    ['infer FOLDER/run/digits x', run],
    ['finetune FOLDER/runs/digit --task spam', run],
    ['train --resume FOLDER/runs/digit', run],
    ['resume FOLDER/runs/digit', run],
    ['resume FOLDER/runs/digit --prove', run],
    ['plot FOLDER/runs/digit --out x.svg', run],
    ['plot FOLDER/runs/digits --out x.svg --figures losss', 'did you mean loss?'],
    ['inspect FOLDER/runs/digit', run],
    ['verify FOLDER/runs/digit', run],
    ['convert FOLDER/runs/digit x', run],
    ['upcycle FOLDER/runs/digit x --experts 2', run],
    ['prune FOLDER/runs/digit x --experts 1', run],
    ['eval FOLDER/tickets.csv', "this is a file; a run's folder was expected, such as runs/g2p"],
    ['infer FOLDER/tickets.csv/run x', 'tickets.csv/run: there is no such folder'],
    ['train g2p --out FOLDER/tickets.csv/run', 'tickets.csv is a file, but a run needs a folder: choose another name'],
    ['train g2p --set train.step=5', 'did you mean train.steps?'],
    ['infer g2p word --max-length 5', "unknown option '--max-length'\n(Did you mean --max-new-tokens?)"],
    ['train g2p --epochs 3', "unknown option '--epochs'\n(It is a setting: --set train.steps=300)"],
    ['train g2p --learning_rate=0.1', "'--learning_rate=0.1'\n(It is a setting: --set train.schedule.peak=0.001)"],
    ['train g2p --seed 5', "unknown option '--seed'\n(It is a setting: --set train.seed=1)"],
    [
      'launch --processes 2 train g2p --mesh data=2',
      "unknown option '--mesh'\n(Write -- before the command: launch --processes 2 -- train g2p --mesh ...)",
    ],
    ['experts simulate trace.jsonl', "'--memory <sizes>' not specified\n(--help lists the commands and options)"],
    ['embed g2p --file words.txt', "unknown option '--file'\n(Did you mean --data?)"],
    [
      'train g2p train.steps=20',
      'Expected 1 argument but got 2.\n(Each setting needs --set before it: --set train.steps=300)',
    ],
    ['train g2p --set train.steps 5', 'and its value with = between and no space: train.steps=VALUE'],
  ])('%s', async (command, message) => {
    const lines: string[] = []
    const take = (text: unknown): boolean => lines.push(String(text)) > 0
    const spies = [
      vi.spyOn(console, 'error').mockImplementation(take),
      vi.spyOn(process.stderr, 'write').mockImplementation(take),
    ]
    try {
      const code = await main(command.replaceAll('FOLDER', folder).split(' '))
      const printed = lines
        .join('')
        .replaceAll(folder, 'FOLDER')
        .replaceAll(/node \S+switchyard\.js/g, 'npx switchyard')
      expect(printed).toContain(message)
      expect(code).toBeGreaterThan(0)
    } finally {
      for (const spy of spies) spy.mockRestore()
    }
  })
})
