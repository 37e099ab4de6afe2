import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { leavesWithPaths } from '../../src/base/pytree.js'
import { readParameters } from '../../src/checkpoint/weights.js'
import type { Tensor } from '../../src/engine/api/tensor.js'
import { openWeights } from '../../src/open/open-weights.js'
import { openCheckpoint } from '../../src/train/checkpointing.js'
import type { RunConfig, TrainConfig } from '../../src/train/config.js'
import { Trainer } from '../../src/train/trainer.js'
import { configWith, task } from './small-run.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-'))
})
afterEach(() => rm(folder, { recursive: true }))

type Values = Record<string, number[]>

async function valuesOf(tree: object): Promise<Values> {
  const leaves = leavesWithPaths<Tensor>(tree as never)
  return Object.fromEntries(await Promise.all(leaves.map(async ([path, x]) => [path, await x.numbers()] as const)))
}

/** The values before and after a run, and the names in its last checkpoint's optimizer state. */
async function trained(config: RunConfig): Promise<{ before: Values; after: Values; optimizer: string[] }> {
  const trainer = await Trainer.begin(config, { task })
  const before = await valuesOf(trainer.params)
  await trainer.run(join(folder, 'run'))
  const checkpoint = await openCheckpoint(join(folder, 'run'))
  const optimizer = checkpoint.optimizer!.list().map(info => info.name)
  await checkpoint.close()
  return { before, after: await valuesOf(trainer.params), optimizer }
}

const changed = (before: Values, after: Values): string[] =>
  Object.keys(after).filter(path => after[path].some((x, i) => x !== before[path][i]))

/** Trains four of eight steps, then the rest after a resume, and expects what the whole run gave. */
async function expectExactResume(changes: Partial<TrainConfig>): Promise<void> {
  const config = configWith(changes)
  const whole = await Trainer.begin(config, { task })
  await whole.run(join(folder, 'whole'))
  const half = await Trainer.begin({ ...config, train: { ...config.train, steps: 4 } }, { task })
  await half.run(join(folder, 'half'))
  const checkpoint = await openCheckpoint(join(folder, 'half'))
  const rest = await Trainer.resume(config, checkpoint, { task })
  await checkpoint.close()
  await rest.run(join(folder, 'half'))
  expect(await valuesOf(rest.params)).toEqual(await valuesOf(whole.params))
}

describe('train.freeze', () => {
  it('keeps the values of the matched parameters, which have no optimizer state', async () => {
    const { before, after, optimizer } = await trained(configWith({ freeze: ['router', 'encoder', '!encoder_norm'] }))
    const expected = Object.keys(before).filter(
      path => !path.includes('router') && (!path.startsWith('encoder/') || path.includes('encoder_norm')),
    )
    expect(changed(before, after)).toEqual(expected)
    expect(optimizer.toSorted()).toEqual(['m', 'v'].flatMap(part => expected.map(path => `${part}/${path}`)).toSorted())
  })

  it.each<[string, Partial<TrainConfig>]>([
    ['an average', { averageDecay: 0.9 }],
    ['gradient accumulation', { accumulate: 2 }],
    [
      'rates by group and Adafactor',
      {
        rates: [{ path: 'decoder', factor: 0.1 }],
        optimizer: {
          kind: 'adafactor',
          decayRate: 0.8,
          stepOffset: 0,
          clippingThreshold: 1,
          epsilon1: 1e-30,
          epsilon2: 1e-3,
          minSizeToFactor: 128,
        },
      },
    ],
  ])('resumes exactly, also with %s', async (_, changes) => {
    await expectExactResume({ ...changes, freeze: ['router', 'encoder'] })
  })

  it('refuses patterns that match nothing, and to freeze everything', async () => {
    const begin = (changes: Partial<TrainConfig>) => Trainer.begin(configWith(changes), { task })
    await expect(begin({ freeze: ['ruoter'] })).rejects.toThrow(
      'train.freeze: the pattern "ruoter" matches no parameter',
    )
    await expect(begin({ freeze: ['*'] })).rejects.toThrow('train.freeze=* freezes every parameter')
    await expect(begin({ rates: [{ path: 'encoder', factor: 2 }], freeze: ['encoder'] })).rejects.toThrow(
      'train.rates: the pattern "encoder" matches no parameter',
    )
  })
})

describe('train.lora', () => {
  const lora = { rank: 2, alpha: 4, targets: ['query', 'value', 'expert/wi'] }

  it('begins with the same model, and changes only the kernels with adapters, which alone have optimizer state', async () => {
    const plain = await Trainer.begin(configWith({}), { task })
    const { before, after, optimizer } = await trained(configWith({ lora }))
    expect(before).toEqual(await valuesOf(plain.params))
    const targets = Object.keys(before).filter(path => /\/(query|value|expert\/wi)\/kernel$/.test(path))
    expect(targets.length).toBe(8)
    expect(changed(before, after)).toEqual(targets)
    const halves = targets.flatMap(path => ['lora_a', 'lora_b'].map(half => path.replace('kernel', half)))
    expect(optimizer.toSorted()).toEqual(['m', 'v'].flatMap(part => halves.map(path => `${part}/${path}`)).toSorted())
    const weights = await openWeights(join(folder, 'run'))
    expect(await valuesOf(await readParameters(weights))).toEqual(after)
    await weights.close()
  })

  it('resumes exactly', () => expectExactResume({ lora, freeze: ['encoder'] }))

  it('refuses targets that match no linear map', async () => {
    const begin = (targets: string[]) => Trainer.begin(configWith({ lora: { ...lora, targets } }), { task })
    await expect(begin(['qeury'])).rejects.toThrow(
      'train.lora.targets: the pattern "qeury" matches no parameter of this model; did you mean query?',
    )
    await expect(begin(['token_embedder'])).rejects.toThrow('matches no parameter')
    await expect(begin([])).rejects.toThrow('name the kernels that get an adapter')
  })
})
