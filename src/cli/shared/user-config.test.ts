import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConfigError } from '../../base/errors.js'
import { recipes } from '../../config/recipes.js'
import { findUserValues, loadUserValues } from './user-config.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-config-'))
})
afterEach(() => rm(folder, { recursive: true }))

const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text)

const upper = `
  import { defineTask, functionSource } from 'switchyard-ml/data'
  import { ByteVocabulary } from 'switchyard-ml/text'
  import { words, type Word } from './words.js'

  const vocabulary = new ByteVocabulary()
  export const upper = defineTask({
    name: 'upper',
    source: functionSource('words', () => words.map((input: Word) => ({ inputs: input, targets: input.toUpperCase() }))),
    features: { inputs: { vocabulary }, targets: { vocabulary } },
  })`
const config = `
  import { defineConfig, recipes, makeSchedule } from 'switchyard-ml'
  import type { Optimizer } from 'switchyard-ml/train'
  import { upper } from './upper'

  const still: Optimizer = { name: 'still', init: () => ({}), update: (_, state, params) => ({ params, state }) }
  function sawtooth(step: number): number { return step % 2 }
  export default defineConfig({
    recipes: {
      shout: { task: upper, model: { dModel: 32 }, train: { steps: 7, optimizer: still, schedule: sawtooth } },
      spell: { base: recipes['g2p-full'], task: 'g2p', train: { steps: 9 } },
    },
  })`

describe('switchyard.config.ts', () => {
  beforeEach(async () => {
    await write('words.ts', "export type Word = string\nexport const words: Word[] = ['a', 'b', 'switchyard']")
    await write('upper.ts', upper)
    await write('switchyard.config.ts', config)
  })

  it('adds recipes and tasks to the built-in ones, as values of this very program', async () => {
    const known = await loadUserValues(folder)
    expect(known.runNames).toEqual(expect.arrayContaining(['g2p', 'shout', 'spell', 'upper']))
    const { config: run, values } = await known.runNamed('shout')
    expect(run).toMatchObject({
      task: { kind: 'custom', name: 'upper' },
      model: { dModel: 32, vocabSize: 384 },
      train: { steps: 7 },
    })
    expect(values.task!.split('train').map(({ target }) => target)).toContain('SWITCHYARD')
    expect([values.optimizer!.name, values.schedule!(3)]).toEqual(['still', 1])
    const spell = await known.runNamed('spell')
    const { train } = recipes['g2p-full']
    const schedule = { ...train.schedule, warmupSteps: 1 }
    expect(spell.config).toEqual({ ...recipes['g2p-full'], train: { ...train, steps: 9, schedule } })
  })

  it('completes a part of a schedule, and shortens the warm-up to the steps of a recipe', async () => {
    await write(
      'switchyard.config.ts',
      `export default { recipes: { a: { task: 'g2p', train: { steps: 30, schedule: { peak: 2e-3 } } },
        b: { task: 'g2p', train: { steps: 30, schedule: { kind: 'cosine', warmupSteps: 7 } } } } }`,
    )
    const known = await loadUserValues(folder)
    const scheduleOf = async (name: string): Promise<unknown> => (await known.runNamed(name)).config.train.schedule
    expect(await scheduleOf('a')).toEqual({ kind: 'linear', peak: 2e-3, warmupSteps: 3 })
    expect(await scheduleOf('b')).toEqual({ kind: 'cosine', peak: 1.5e-3, warmupSteps: 7 })
  })

  it('may say every n-th layer for a list of sparse layers, which follows the number of layers', async () => {
    await write(
      'switchyard.config.ts',
      `export default { recipes: { deep: { task: 'g2p', model: { numEncoderLayers: 4, decoderSparseEvery: 1 } } } }`,
    )
    const { model } = (await (await loadUserValues(folder)).runNamed('deep')).config
    expect(model).toMatchObject({ encoderSparseLayers: [1, 3], decoderSparseLayers: [0, 1] })
  })

  it('has a run for a task without a recipe', async () => {
    const { config: run, values } = await (await loadUserValues(folder)).runNamed('upper')
    expect(run).toMatchObject({ task: { kind: 'custom', name: 'upper' }, train: { inputLength: 64 } })
    expect(values.task!.name).toBe('upper')
  })

  it('finds the values of a run again by their names', async () => {
    const known = await loadUserValues(folder)
    const train = {
      ...recipes.g2p.train,
      optimizer: { kind: 'custom', name: 'still' },
      schedule: { kind: 'custom', name: 'sawtooth' },
    } as never
    const values = known.valuesOf({ ...recipes.g2p, train })
    expect([values.optimizer!.name, values.schedule!.name]).toEqual(['still', 'sawtooth'])
    const router = { ...recipes.g2p.router, custom: 'lost' }
    expect(() => known.valuesOf({ ...recipes.g2p, router })).toThrow('the router "lost" is not built in')
    expect((await known.loadTask({ kind: 'custom', name: 'upper' })).name).toBe('upper')
    await expect(known.loadTask({ kind: 'custom', name: 'none' })).rejects.toThrow('the task "none" is not built in')
    await expect(known.taskNamed('shout')).rejects.toThrow('"shout" is a recipe, and no task: train shout runs it')
    await expect(known.taskNamed('uper')).rejects.toThrow('there is no task "uper"; did you mean upper?')
    await expect(known.runNamed('shuot')).rejects.toThrow('there is no recipe or task "shuot"; did you mean shout?')
  })
})

describe('a configuration file', () => {
  it('may be JavaScript, or missing', async () => {
    expect((await loadUserValues(folder)).runNames).toEqual(expect.arrayContaining(['g2p', 'g2p-full']))
    await write('switchyard.config.mjs', 'export default { recipes: { mine: { task: "g2p", train: { steps: 3 } } } }')
    expect((await (await loadUserValues(folder)).runNamed('mine')).config.train.steps).toBe(3)
    await write('switchyard.config.js', 'export default { hooks: { onStep: () => 7 } }')
    expect((await loadUserValues(folder)).hooks.onStep!({} as never)).toBe(7)
  })

  it.each([
    ['export const x = 1', 'the file has no configuration as its default export'],
    ['export default { task: [] }', 'task: there is no such setting; did you mean tasks?'],
    [
      'import { defineTask } from "switchyard-ml"; export default { tasks: [defineTask({ name: "a b" })] }',
      "a task's name",
    ],
    [
      'export default { tasks: [{ name: "g2p", load() {} }] }',
      'the task "g2p" has the name of a built-in one: rename it',
    ],
    ['export default { tasks: [{ name: "x", load() {} }, { name: "x", load() {} }] }', 'two tasks have the name "x"'],
    ['export default { tasks: {} }', 'tasks: must be a list, got a group of settings'],
    ['export default { tasks: [{ name: "x" }] }', 'tasks.0: must be what defineTask or defineMixture returns'],
    ['export default { recipes: { a: {} } }', 'recipes.a.task: is missing'],
    ['export default { recipes: { a: { task: 7 } } }', 'recipes.a.task: must be a task, or the name of one, got 7'],
    [
      'export default { recipes: { a: { task: "g2p", modl: {} } } }',
      'recipes.a.modl: there is no such setting; did you mean recipes.a.model?',
    ],
    [
      'export default { hooks: { onStepp() {} } }',
      'hooks.onStepp: there is no such setting; did you mean hooks.onStep?',
    ],
    ['export default { hooks: { onStep: 1 } }', 'hooks.onStep: must be a function'],
  ])('is refused with advice: %s', async (text, message) => {
    await write('switchyard.config.js', text)
    await expect(loadUserValues(folder)).rejects.toThrow(ConfigError)
    await expect(loadUserValues(folder)).rejects.toThrow(message)
    await expect(loadUserValues(folder)).rejects.toThrow(join(folder, 'switchyard.config.js'))
  })

  it.each([
    ['train: { stepz: 3 }', 'train.stepz: there is no such setting; did you mean train.steps?'],
    ['train: { schedule: { peek: 3 } }', 'train.schedule.peek: there is no such setting; did you mean train.schedule.'],
    ['train: { schedule: { kind: "linaer" } }', 'train.schedule.kind: must be constant, linear, cosine or inverse'],
    [
      'train: { optimizer: { b3: 1 } }',
      'train.optimizer.b3: there is no such setting; did you mean train.optimizer.b1',
    ],
    ['model: { dModle: 3 }', 'model.dModle: there is no such setting; did you mean model.dModel?'],
    ['router: { jiterNoise: 3 }', 'router.jiterNoise: there is no such setting; did you mean router.jitterNoise?'],
    ['train: { steps: "3" }', 'train.steps: must be a number, got "3"'],
  ])('says which setting of a recipe is wrong, and names the file and the recipe: %s', async (settings, message) => {
    await write('switchyard.config.js', `export default { recipes: { mine: { task: "g2p", ${settings} } } }`)
    const run = (await loadUserValues(folder)).runNamed('mine')
    await expect(run).rejects.toThrow(
      `${join(folder, 'switchyard.config.js')}: the recipe mine is not right:\n  ${message}`,
    )
    await expect(run).rejects.toThrow(ConfigError)
  })

  it('says which task of a recipe does not exist', async () => {
    await write('switchyard.config.js', 'export default { recipes: { mine: { task: "g2q" } } }')
    await expect((await loadUserValues(folder)).runNamed('mine')).rejects.toThrow(
      `${join(folder, 'switchyard.config.js')}: the recipe mine: there is no task "g2q"; did you mean g2p?`,
    )
  })

  it('is named by the errors of its tasks', async () => {
    await write(
      'switchyard.config.ts',
      `import { csvSource, defineTask, functionSource, rekey } from 'switchyard-ml/data'
       import { ByteVocabulary } from 'switchyard-ml/text'
       const vocabulary = new ByteVocabulary()
       const features = { inputs: { vocabulary }, targets: { vocabulary } }
       const source = functionSource('rows', () => [{ text: 'a' }])
       const upper = example => ({ inputs: example.txt.toUpperCase(), targets: 'x' })
       const shout = { name: 'shout', apply: data => ({ length: data.length, get: i => upper(data.get(i)) }) }
       export default { tasks: [
         defineTask({ name: 'lost', source: csvSource('none.csv'), features }),
         defineTask({ name: 'mapped', source, features, preprocessors: [rekey({ text: 'text' }), shout], splitBy: null }),
       ] }`,
    )
    const known = await loadUserValues(folder)
    const path = join(folder, 'switchyard.config.ts')
    await expect(known.taskNamed('lost')).rejects.toThrow(`${path}: the task lost: none.csv: there is no such file`)
    const mapped = await known.taskNamed('mapped')
    expect(() => mapped.split('train')).toThrow(
      /^the task mapped: preprocessor 2 \(shout\): .*switchyard\.config\.ts:6:\d+: TypeError: Cannot read properties of undefined/,
    )
  })

  it('that cannot be run is named, with what is wrong in it', async () => {
    await write('switchyard.config.ts', 'export default { tasks: [')
    await expect(loadUserValues(folder)).rejects.toThrow(ConfigError)
    await write('switchyard.config.ts', 'throw new TypeError("the file itself")')
    await expect(loadUserValues(folder)).rejects.toThrow(
      /switchyard\.config\.ts:1: cannot be run: TypeError: the file itself$/,
    )
    await write('switchyard.config.ts', 'const a = 1\nimport b from "./none.js"\nexport default { a, b }')
    await expect(loadUserValues(folder)).rejects.toThrow(
      /switchyard\.config\.ts:2: cannot be run: Cannot find module '\.\/none\.js'$/,
    )
    await write('none.ts', '\n\nthrow "a text"')
    await expect(loadUserValues(folder)).rejects.toThrow(/cannot be run: a text$/)
    await write('none.ts', '\n\nexport const c = (')
    await expect(loadUserValues(folder)).rejects.toThrow(/cannot be run: \S+none\.ts:\d:\d+: syntax error: /)
    // Values that are built in are found all the same.
    const known = await findUserValues(folder)
    expect((await known.runNamed('g2p')).config).toBe(recipes.g2p)
    await expect(known.runNamed('mine')).rejects.toThrow(
      /cannot be run: [^]*\nWithout this file, there is no recipe or task "mine"/,
    )
    await expect(known.loadTask({ kind: 'custom', name: 'mine' })).rejects.toThrow(
      /cannot be run[^]*"mine" is not built/,
    )
  })
})
