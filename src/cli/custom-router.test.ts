import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openTextModel } from '../open/text-model.js'
import type { TextModelOptions } from '../open/text-model.js'
import { answerTexts } from './infer/answering.js'
import { evaluateRun } from './eval/evaluating.js'
import { evaluateOnData } from './eval/evaluating-data.js'
import { finetune } from './finetune/finetuning.js'
import { describeModel, findModel } from './inspect/inspection.js'
import { prune } from './convert/pruning.js'
import { train } from './train/training.js'

const config = `
  import { defineConfig } from 'switchyard-ml'
  import { csvSource, defineTask, functionSource, loadT5Vocabulary, eachExample } from 'switchyard-ml/data'
  import { meanings, tokensChoose } from 'switchyard-ml/model'
  import { ByteVocabulary } from 'switchyard-ml/text'

  const vocabulary = new ByteVocabulary()
  const numbers = Array.from({ length: 100 }, (_, i) => ({ inputs: String(i), targets: i % 2 ? 'odd' : 'even' }))
  const parity = defineTask({
    name: 'parity',
    source: functionSource('numbers', () => numbers),
    features: { inputs: { vocabulary }, targets: { vocabulary } },
  })
  const router = { ...tokensChoose({ selectedExperts: 1 }), name: 'mine' }
  const meaning = { ...meanings.switchyard, name: 'ours' }
  const model = { dModel: 8, dFf: 8, numHeads: 1, headDim: 8, numExperts: 2 }
  const train = { steps: 2, rows: 2, evalExamples: 2, schedule: { kind: 'constant', peak: 1e-3, warmupSteps: 0 } }

  const words = ['billing', 'bug', 'question']
  const tickets = defineTask({
    name: 'tickets',
    source: csvSource(FOLDER + '/tickets.csv'),
    preprocessors: [
      eachExample('named', ({ subject, label }) => ({ inputs: 'ticket: ' + subject, targets: words[Number(label)] })),
    ],
    features: async () => {
      const vocabulary = await loadT5Vocabulary()
      return { inputs: { vocabulary }, targets: { vocabulary } }
    },
  })
  export default defineConfig({ recipes: { small: { task: tickets, model, train },  routed: { task: parity, router, meaning, model, train } } })`

let folder: string
const printed: string[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-router-'))
  await writeFile(join(folder, 'switchyard.config.ts'), config.replace('FOLDER', JSON.stringify(folder)))
  const tickets = Array.from({ length: 90 }, (_, i) => `number ${i},${i % 3}\n`).join('')
  await writeFile(join(folder, 'tickets.csv'), `subject,label\n${tickets}`)
  await writeFile(join(folder, 'pairs.tsv'), Array.from({ length: 60 }, (_, i) => `${i}\tx\n`).join(''))
  vi.spyOn(process, 'cwd').mockReturnValue(folder)
  vi.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(text))
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
  await train('routed', { set: [], out: join(folder, 'run') })
}, 120_000)

afterAll(async () => {
  vi.restoreAllMocks()
  await rm(folder, { recursive: true, force: true })
})

describe('a run with a router and a meaning of switchyard.config.ts', () => {
  const run = (): string => join(folder, 'run')
  const data = (): string => join(folder, 'pairs.tsv')

  it('answers texts, where the router can be found', async () => {
    printed.length = 0
    await answerTexts(run(), ['12'], { maxNewTokens: 2 }, { json: false })
    expect(printed).toEqual([expect.stringMatching(/^12\t/)])
    const findValues: TextModelOptions['findValues'] = ({ model, router }) =>
      Promise.reject(new Error(`${router.custom}, ${model.customMeaning}`))
    await expect(openTextModel(run(), { findValues })).rejects.toThrow('mine, ours')
  }, 60_000)

  it('is evaluated on data, fine-tuned and pruned', async () => {
    await evaluateRun(run(), { split: 'test', examples: 1 })
    printed.length = 0
    await evaluateOnData(run(), data(), { examples: 2 })
    expect(printed.join('\n')).toContain('wrong answers')
    const set = ['train.steps=2', 'train.rows=2', 'train.evalExamples=2']
    await finetune(run(), { data: data(), set, out: join(folder, 'tuned') })
    expect(printed.join('\n')).toContain('restored')
    await prune(run(), join(folder, 'pruned'), { data: data(), experts: 1, set: [] })
    expect(printed.join('\n')).toMatch(/loss and tokens right on \d+ held-out examples?/)
  }, 120_000)

  it('is proposed to be tried on an input of its own task, which may have a preprocessor of its own', async () => {
    printed.length = 0
    const out = join(folder, 'my runs/small')
    await train('small', { set: [], out })
    expect(printed.at(-1)).toMatch(/ infer ".*my runs\/small" "ticket: number \d+"\n/)
    expect(printed.join('\n')).toMatch(/^ +ticket: number \d+ .*wrong: (billing|bug|question)$/m)
  }, 60_000)

  it('is described by inspect, as is its recipe', async () => {
    const recipe = describeModel(await findModel('routed'))
    expect(recipe).toContain('routed\n')
    expect(describeModel(await findModel(run()))).toContain('stored as')
    await expect(findModel('ruoted')).rejects.toThrow(
      'there is no preset, recipe, task or folder ruoted; did you mean routed?',
    )
  }, 60_000)
})
