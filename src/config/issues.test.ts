import { describe, expect, it } from 'vitest'
import { ConfigError } from '../base/errors.js'
import { recipes } from './recipes.js'
import { parseRunConfig } from './validate.js'

/** A configuration with one setting changed; undefined leaves the setting out. */
function changed(path: string, value: unknown): unknown {
  const config = structuredClone(recipes.g2p) as unknown as Record<string, unknown>
  const keys = path.split('.')
  const group = keys.slice(0, -1).reduce((node, key) => node[key] as Record<string, unknown>, config)
  if (value === undefined) delete group[keys.at(-1)!]
  else group[keys.at(-1)!] = value
  return config
}

function failure(value: unknown): string {
  try {
    parseRunConfig(value, 'x.json')
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as Error).message
  }
  throw new Error('this was to fail')
}

describe('what is wrong with a setting', () => {
  it.each<[string, unknown, string]>([
    ['train.steps', 0, 'must be 1 or more, got 0'],
    ['train.steps', 1.5, 'must be a whole number, got 1.5'],
    ['train.steps', NaN, 'must be a number, got NaN'],
    ['train.steps', 'x', 'must be a number, got "x"'],
    ['train.steps', null, 'must be a number, got null'],
    ['train.steps', [3], 'must be a number, got a list'],
    ['train.steps', undefined, 'is missing'],
    ['train.seed', 2 ** 31, 'must be 2147483647 or less, got 2147483648'],
    ['train.clipNorm', 0, 'must be more than 0, got 0'],
    ['train.schedule.peak', Infinity, 'must be a number, got Infinity'],
    ['train.optimizer', 'adamW', 'must be a group of settings, got "adamW"'],
    ['train.optimizer.kind', 'sgd', 'must be adamW or adafactor, got "sgd"'],
    ['train.optimizer.kind', undefined, 'is missing'],
    ['model', undefined, 'is missing'],
    ['model.activation', 'tanh', 'must be relu, gelu, geluTanh or silu, got "tanh"'],
    ['model.activation', {}, 'must be relu, gelu, geluTanh or silu, got a group of settings'],
    ['model.reference', 3, 'must be switchyard, t5x or hf, got 3'],
    ['model.tiedLogits', 'yes', 'must be true or false, got "yes"'],
    ['model.dropoutRate', 1, 'must be less than 1, got 1'],
    ['model.relativePositionBuckets', 2, 'must be 4 or more, got 2'],
    ['train.stepz', 3, 'there is no such setting; did you mean train.steps?'],
    ['train.schedule.peek', 3, 'there is no such setting; did you mean train.schedule.peak?'],
    ['train.schedule.decayFrom', 3, 'there is no such setting; train.schedule has kind, peak, warmupSteps'],
    ['trian', {}, 'there is no such setting; did you mean train?'],
    [
      'router.kind',
      'x\u202e'.padEnd(200, 'y'),
      String.raw`must be tokensChoose, expertsChoose, hash, random or soft, got "x\u202e${'y'.repeat(98)}...(200 characters)"`,
    ],
    ['task', { kind: 'pairs', path: 3 }, 'must be text, got 3'],
    ['task', { kind: 'pairs', path: '' }, 'must not be empty, got ""'],
  ])('%s = %j', (path, value, message) => {
    const where = path === 'task' ? 'task.path' : path
    expect(failure(changed(path, value))).toBe(`x.json is not right:\n  ${where}: ${message}`)
  })

  it.each<[unknown, string]>([
    [null, 'it: must be a group of settings, got null'],
    [[], 'it: must be a group of settings, got a list'],
    [undefined, 'it: is missing'],
  ])('%j for all of it', (value, message) => {
    expect(failure(value)).toBe(`x.json is not right:\n  ${message}`)
  })

  it('has a line for each wrong setting', () => {
    expect(
      failure({
        ...recipes.g2p,
        task: { kind: 'g2p', x: 1, y: 2 },
        train: { ...recipes.g2p.train, steps: 0, rows: 0 },
      }),
    ).toBe(
      'x.json is not right:\n  task.x: there is no such setting; task has kind\n  task.y: there is no such setting; task has kind\n  train.steps: must be 1 or more, got 0\n  train.rows: must be 1 or more, got 0',
    )
  })
})
