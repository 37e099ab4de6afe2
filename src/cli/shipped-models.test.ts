import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { saveCodec } from '../data/task.js'
import { g2pCodec } from '../data/tasks/g2p.js'
import { writeNativeWeights } from '../checkpoint/native-weights.js'
import { newWeights } from '../checkpoint/weights.js'
import { recipes } from '../config/recipes.js'
import { shippedModel, shippedModels } from '../open/shipped-models.js'
import type * as shipped from '../open/shipped-models.js'
import { answerTexts } from './infer/answering.js'
import { convertWeights } from './convert/conversion.js'
import { evaluateRun } from './eval/evaluating.js'
import { TextGenerator } from '../infer/text-generator.js'
import { openTextModel } from '../open/text-model.js'
import { findFolder, findShipped } from './shared/find-folder.js'
import { describeModel, findModels } from './inspect/inspection.js'

const assets = vi.hoisted(() => ({ folder: '' }))
vi.mock('../open/shipped-models.js', async load => {
  const actual = await load<typeof shipped>()
  return {
    shippedModels: () => actual.shippedModels(assets.folder),
    shippedModel: (name: string) => actual.shippedModel(name, assets.folder),
    pathOrShipped: (path: string) => actual.pathOrShipped(path, assets.folder),
  }
})

let scratch: string
let cwd: string
const printed: string[] = []
const noticed: string[] = []

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'switchyard-shipped-'))
  assets.folder = join(scratch, 'models')
  const { model, router } = recipes.g2p
  const small = { ...model, dModel: 32, dFf: 32, numHeads: 1, headDim: 32, numExperts: 2 }
  const texts = { task: saveCodec({ name: 'g2p', codec: g2pCodec() }), maxNewTokens: 4 }
  await writeNativeWeights(join(assets.folder, 'g2p'), newWeights('g2p', small, router, 0), { bits: 8, texts })
  await mkdir(join(assets.folder, 'not-yet'))
  await writeFile(join(assets.folder, 'not-yet', 'README.md'), 'the card of a model that is not there')
})
beforeEach(async () => {
  cwd = process.cwd()
  process.chdir(await mkdtemp(join(scratch, 'user-')))
  printed.length = noticed.length = 0
  vi.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(text))
  vi.spyOn(console, 'error').mockImplementation((text: string) => void noticed.push(text))
})
afterEach(() => {
  process.chdir(cwd)
  vi.restoreAllMocks()
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

describe('a model that comes with the package', () => {
  it('is found by its name, without a word', async () => {
    expect(await shippedModels()).toEqual(['g2p'])
    expect(await findFolder('g2p')).toBe(join(assets.folder, 'g2p'))
    expect(await shippedModel('not-yet')).toBeUndefined()
    expect(noticed).toEqual([])
  })

  it('comes after a folder of its name, and before a run of its name, which is said', async () => {
    await mkdir('runs/g2p', { recursive: true })
    expect(await findShipped('g2p')).toBe(join(assets.folder, 'g2p'))
    expect(noticed).toEqual(['g2p: the model that comes with Switchyard is used; your run is runs/g2p'])
    noticed.length = 0
    await mkdir('g2p')
    expect(await findFolder('g2p')).toBe('g2p')
    expect(noticed).toEqual([
      `g2p: the folder of this name is used; the model that comes with Switchyard is ${join(assets.folder, 'g2p')}`,
    ])
  })

  it('is listed where a name is not known, and proposed for a similar one', async () => {
    await expect(findFolder('no-such-model')).rejects.toThrow(
      "a run was expected (runs/g2p), a model's folder, a model that comes with Switchyard (g2p), or a model of the",
    )
    await expect(findFolder('g2pp')).rejects.toThrow('g2pp: there is no such folder; did you mean g2p?')
    await expect(findFolder('g2p', 'main')).rejects.toThrow('this model comes with Switchyard; --revision is for')
  })

  it('warns of an answer with a restriction that is cut at its most tokens, of no other', async () => {
    const found = await findFolder('g2p')
    const answer = (maxNewTokens: number): Promise<void> =>
      answerTexts(found, ['a', 'b'], { regex: 'HH AH L', maxNewTokens }, { json: false })
    await answer(4)
    expect([printed.splice(0), noticed]).toEqual([['a\tHH AH L', 'b\tHH AH L'], []])
    await answer(2)
    expect(printed).toEqual(['a\tHH AH', 'b\tHH AH'])
    expect(noticed).toEqual(
      ['a', 'b'].map(
        text =>
          `warning: ${text}: the answer was cut at its most tokens (finish reason length), so it may not keep to --regex: raise --max-new-tokens`,
      ),
    )
  })

  it('answers, is inspected beside the recipe of its name, converted, and evaluated on its task', async () => {
    const found = await findFolder('g2p')
    await answerTexts(found, ['yard'], {}, { json: false })
    expect(printed).toEqual([expect.stringMatching(/^yard\t[A-Z ]*$/)])
    const [own, recipe] = (await findModels('g2p')).map(describeModel)
    expect(own).toMatch(/^g2p, the model that comes with Switchyard\n\n {2}stored as +native, int8/)
    expect(recipe).toMatch(/^g2p, as train makes it\n\n {2}experts /)
    await convertWeights(found, 'float', { to: 'native', dtype: 'float32' })
    printed.length = noticed.length = 0
    await evaluateRun('float', { examples: 2 })
    await evaluateRun(found, { examples: 2 })
    expect(printed).toEqual(Array(2).fill(expect.stringMatching(/PER.* on 2 of the [\d,]+ held-out words$/)))
    expect(noticed).toContain(
      'float: these weights have no settings of a run: they are evaluated on the task that they name, g2p',
    )
    await convertWeights(join(import.meta.dirname, '../../test/fixtures/t5-v1_0'), 'foreign', { to: 'native' })
    await expect(evaluateRun('foreign', {})).rejects.toThrow(
      "foreign: this checkpoint holds a model's weights without the run's task and settings; give --data",
    )
  }, 60_000)

  it('is opened by its name in a program', async () => {
    const generator = new TextGenerator(await openTextModel('g2p'))
    expect((await generator.answer('yard'))[0].text).toMatch(/^[A-Z ]*$/)
    await expect(openTextModel('g2q')).rejects.toThrow('g2q: there is no such folder')
  }, 60_000)
})
