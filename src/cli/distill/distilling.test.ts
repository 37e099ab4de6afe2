import { cp, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { wrongAnswerRate } from '../../metrics/error-rates.js'
import { textMetric } from '../../metrics/text-metrics.js'
import { splitWords } from '../../text/symbols.js'
import { g2pCodec } from '../../data/tasks/g2p.js'
import { explainConfig } from '../inspect/configuration.js'
import { convertWeights } from '../convert/conversion.js'
import { formatReport, openBaseline } from '../shared/distillation-report.js'
import { distill } from './distilling.js'
import { prove } from '../train/proving.js'
import { resumeRun } from '../train/resuming.js'
import { runToEnd } from '../shared/running.js'
import { train } from '../train/training.js'

let folder: string
const printed: string[] = []
const at = (name: string): string => join(folder, name)

const sizes = ['dModel=8', 'dFf=8', 'numHeads=1', 'headDim=8', 'numExperts=2'].map(size => `model.${size}`)
const training = ['steps=4', 'rows=2', 'evalExamples=2', 'checkpointEvery=2', 'schedule.warmupSteps=0']
const set = [...training.map(setting => `train.${setting}`), ...sizes]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-distil-'))
  await writeFile(at('pairs.tsv'), Array.from({ length: 60 }, (_, i) => `${i}\t${i % 2 ? 'odd' : 'even'}\n`).join(''))
  vi.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(text))
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
  const sparse = ['model.encoderSparseEvery=2', 'model.decoderSparseEvery=2']
  await train(undefined, { data: at('pairs.tsv'), set: [...set, ...sparse], out: at('teacher') })
}, 120_000)

afterAll(async () => {
  vi.restoreAllMocks()
  await rm(folder, { recursive: true, force: true })
})

it('distill trains the dense twin on the task of the teacher, and reports what it keeps', async () => {
  printed.length = 0
  await distill(at('teacher'), { baseline: at('teacher'), set: [], out: at('student') })
  const text = printed.join('\n')
  expect(text).toMatch(/restored \d+ of \d+ tensors \([\d,]+ parameters\) from .*teacher.step-4 \(run, after 4 steps\)/)
  expect(text).toMatch(/\nteacher +[\d,]+ .*\nstudent +[\d,]+ .*\nbaseline +[\d,]+ /)
  expect(text).toMatch(/the student has \d+\.\d% of the teacher's parameters/)
  expect(text).toMatch(
    /measured: .*wrong answers on \d+ held-out examples?, validation loss on \d+ validation examples?/,
  )
  expect(text).toMatch(/validation loss: the teacher is no better than the baseline/)
  const settings = await explainConfig(at('student'), [])
  expect(settings).toMatch(/distill\.teacher\.path +.*teacher.step-4 +weights .*teacher\n/)
  expect(settings).toMatch(/distill\.softWeight +0\.25 +default\n/)
  expect(settings).toMatch(/model\.numExperts +0 +distill\n/)
}, 120_000)

it('the result is resumed exactly while the teacher is where it was, and what it was', async () => {
  printed.length = 0
  await prove(at('student'))
  expect(printed.join('\n')).toContain('equal bit for bit')

  const longer = { set: ['train.steps=6'] }
  await rename(at('teacher'), at('elsewhere'))
  await expect(resumeRun(at('student'), longer)).rejects.toThrow(
    /teacher.step-4: the teacher of this run is not there any more: put its folder back, or begin a new run with distill/,
  )
  await cp(at('elsewhere/step-2'), at('teacher/step-4'), { recursive: true })
  await expect(resumeRun(at('student'), longer)).rejects.toThrow(
    /these are not the weights that the run learns from \(their fingerprint is [0-9a-f]{8}, and that of its teacher/,
  )
  await rm(at('teacher'), { recursive: true })
  await rename(at('elsewhere'), at('teacher'))
  printed.length = 0
  await runToEnd((await resumeRun(at('student'), longer))!)
  expect(printed.join('\n')).toMatch(/\nbaseline +[\d,]+ /)
}, 120_000)

it('refuses a baseline with another vocabulary, and weights that name no task', async () => {
  await expect(openBaseline(at('teacher'), { codec: g2pCodec() })).rejects.toThrow(
    'its vocabulary is not that of the teacher, so the two cannot be compared: give a run on the same task',
  )
  await convertWeights(at('teacher'), at('weights'), { to: 'native' })
  await expect(distill(at('weights'), { set: [], out: at('never') })).rejects.toThrow(
    'these weights name no task that is known here: give --data with a file of your own, or --task with a task',
  )
})

it('the report has the share of the gain that is kept, whether a figure should be high or low', () => {
  const model = (role: 'teacher' | 'student' | 'baseline', parameters: number, figure: number, loss: number) =>
    ({ role, path: `runs/${role}`, parameters, figure, loss }) as const
  const models = [model('teacher', 1000, 0.1, 1), model('student', 400, 0.16, 1.1), model('baseline', 400, 0.2, 1.5)]
  const wrong = { name: 'wrong answers', metric: wrongAnswerRate('wrong answers', splitWords) }
  expect(formatReport(models, wrong).split('\n')).toEqual([
    '          parameters  wrong answers  validation loss  weights',
    'teacher        1,000          10.0%           1.0000  runs/teacher',
    'student          400          16.0%           1.1000  runs/student',
    'baseline         400          20.0%           1.5000  runs/baseline',
    '',
    "the student has 40.0% of the teacher's parameters (2.5 times fewer)",
    "wrong answers: the student keeps 40.0% of the teacher's gain over the baseline",
    "validation loss: the student keeps 80.0% of the teacher's gain over the baseline",
  ])
  const counted = [{ ...models[0], examples: { figure: 2000, loss: 1 } }, ...models.slice(1)]
  expect(formatReport(counted, wrong)).toContain(
    '\nmeasured: wrong answers on 2,000 held-out examples, validation loss on 1 validation example\n',
  )
  const lossOf = (...losses: number[]): string =>
    formatReport(models.map((m, i) => ({ ...m, figure: undefined, loss: losses[i] })))
      .split('\n')
      .at(-1)!
  expect(lossOf(1.00001, 1.5, 1.00002)).toContain(
    'validation loss: the teacher is no better than the baseline, so there is no gain',
  )
  expect(lossOf(1, 1.5, 1.1)).toBe(
    "validation loss: the student is no better than the baseline, so it keeps none of the teacher's gain",
  )
  expect(lossOf(1, 0.6, 1.1)).toBe(
    'validation loss: the student is better than the teacher, so it keeps the whole gain',
  )
  const right = { name: 'accuracy', metric: textMetric('accuracy') }
  expect(formatReport(models, right)).toContain('accuracy: the teacher is no better than the baseline')
  expect(formatReport(models.slice(0, 2))).toContain('--baseline RUN, a run of the same dense model without a teacher')
})
