import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { recipes } from '../config/recipes.js'
import { overrideConfig } from '../config/overrides.js'
import { leavesWithPaths } from '../base/pytree.js'
import { sizeOf } from '../base/host-tensor.js'
import type { TensorType } from '../engine/api/eval-shape.js'
import { countParameters, declareParameters } from '../model/parameters.js'
import type { RunConfig } from './config.js'
import { requireDisk, requireMemory, trainingBytes } from './footprint.js'
import { modelParts } from './model-parts.js'
import { shareOfRun, stateBytes } from './state-bytes.js'

const g2p = (...settings: string[]): RunConfig => overrideConfig(recipes.g2p, settings)
const adam = ({ model, router }: RunConfig) => {
  const params = 4 * countParameters(declareParameters(model, router))
  return { params, optimizer: 2 * params }
}
const large = ['model.dModel=512', 'model.dFf=2048']

describe('the memory that training takes', () => {
  // Peak resident memory in MiB of four steps with two saves, on a machine with 2 cores and 23 GiB.
  it.each([
    ['train.rows=8', 353],
    ['train.rows=32', 445],
    ['train.rows=64', 565],
    ['train.rows=8 train.inputLength=512 train.targetLength=512', 871],
    ['model.vocabSize=32128', 924],
    ['train.rows=32 train.remat=true', 421],
    ['train.rows=64 train.accumulate=4', 408],
    ['train.rows=32 router.trainCapacityFactor=null', 453],
    ['model.dModel=256 model.dFf=1024 train.rows=4 model.numExperts=16', 930],
    ['model.dModel=512 model.dFf=2048 train.rows=4', 1847],
  ])('is estimated for g2p with %s: %i MiB were measured', (settings, measured) => {
    const config = g2p('train.asyncSave=false', ...settings.split(' '))
    const { params, optimizer } = adam(config)
    const state = { params, optimizer: settings.includes('adafactor') ? 0.01 * params : optimizer }
    const estimated = trainingBytes(config, state) / 2 ** 20
    expect(Math.abs(estimated / measured - 1), `${estimated}`).toBeLessThan(0.12)
  })

  it('has a copy of the state for checkpoints that are saved in the background', () => {
    const state = { params: 1000, optimizer: 2000 }
    expect(trainingBytes(g2p(), state) - trainingBytes(g2p('train.asyncSave=false'), state)).toBe(3000)
    const config = g2p(...large)
    const needed = trainingBytes(config, adam(config))
    expect(() => requireMemory(config, adam(config), needed - 1)).toThrow(
      ': one of these would fit: train.asyncSave=false (training',
    )
    requireMemory(config, adam(config), needed)
  })

  it('is refused with numbers and a setting that fits', () => {
    const many = g2p('train.rows=1024')
    expect(() => requireMemory(many, adam(many), 2 * 2 ** 30)).toThrow(
      /^training \(parameters and optimizer: [\d.]+ MiB\) takes about [\d.]+ GiB of memory, and 2\.00 GiB are free: one of these would fit: train\.accumulate=4 \(the same batch in 4 parts\); train\.remat=true \(about a third more time\); train\.rows=256\. To try it anyway, /,
    )
    const wide = g2p(...large, 'model.numExperts=1024')
    expect(() => requireMemory(wide, adam(wide), 2 ** 33)).toThrow('model.numExperts=32 would fit')
    expect(() => requireMemory(wide, adam(wide), 2 ** 20)).toThrow('take a machine with more, or a smaller model')
    requireMemory(many, adam(many), 2 ** 40)
  })

  it('is refused for a fine-tuning run with what fits alone, or together', () => {
    const origin = { path: 'base', container: 'huggingface', step: 0, optimizer: 'fresh', rules: [] } as const
    const config = { ...g2p(...large, 'train.rows=4', 'model.numExperts=32'), from: { ...origin, rules: [] } }
    const needed = trainingBytes(config, adam(config))
    expect(() => requireMemory(config, adam(config), 0.7 * needed)).toThrow(
      'one of these would fit: train.optimizer.kind=adafactor; train.lora.rank=8 (low-rank adapters only). To try',
    )
    const long = {
      ...g2p(...large, 'train.rows=64', 'train.inputLength=512', 'train.targetLength=512'),
      from: config.from,
    }
    expect(() => requireMemory(long, adam(long), 2 ** 30)).toThrow(
      'train.asyncSave=false train.accumulate=64 train.remat=true train.lora.rank=8 together would fit. To try',
    )
    expect(() => requireMemory(long, adam(long), 2 ** 20)).toThrow(
      /take a machine with more, or a smaller model; even with .*train\.lora\.rank=8 it takes [\d.]+ MiB/,
    )
  })

  it('is less in parts and with remat, and has room for frozen parameters', () => {
    const bytes = (...settings: string[]): number => {
      const config = g2p('train.asyncSave=false', 'train.rows=64', ...settings)
      return trainingBytes(config, adam(config))
    }
    expect(bytes('train.accumulate=8')).toBeLessThan(bytes())
    expect(bytes('train.remat=true')).toBeLessThan(bytes())
    const state = { params: 1000, optimizer: 2000 }
    expect(trainingBytes(g2p(), { ...state, frozen: 10_000 }) - trainingBytes(g2p(), state)).toBe(30_000)
  })

  it('is that of the parts that a process has, on a mesh', () => {
    const config = g2p('train.mesh=data=2,expert=2', 'train.asyncSave=false')
    const parts = modelParts(config, {})
    const types = parts.types()
    const state = stateBytes(types)
    const bytesOf = (isExpert: boolean): number => {
      const arrays = [types.params, types.optimizer].flatMap(tree => leavesWithPaths<TensorType>(tree))
      const chosen = arrays.filter(([path]) => path.includes('/expert/') === isExpert)
      return chosen.reduce((sum, [, { shape }]) => sum + 4 * sizeOf(shape), 0)
    }
    // Two devices have each expert, and all four have each other array.
    const all = shareOfRun(types, parts.layouts!, 4)
    expect(all.batch).toBe(1)
    expect(all.state * (state.params + state.optimizer)).toBeCloseTo(2 * bytesOf(true) + 4 * bytesOf(false), 3)
    const one = shareOfRun(types, parts.layouts!, 1)
    expect(one).toEqual({ state: all.state / 4, batch: 1 / 4 })
    expect(trainingBytes(config, state, one)).toBeLessThan(trainingBytes(config, state))
    expect(trainingBytes(config, state)).toBeLessThan(trainingBytes(config, state, all))
  })

  it('is refused on disk, too', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-disk-'))
    const state = { params: 2 ** 60, optimizer: 2 ** 60 }
    await expect(requireDisk(folder, g2p(), 0, state)).rejects.toThrow(
      /3 checkpoints of 2048\.00 PiB must be saved here, and this disk has .* free: free some space, or use another disk$/,
    )
    await requireDisk(folder, g2p(), 0, { params: 1, optimizer: 1 })
    await rm(folder, { recursive: true })
  })
})
