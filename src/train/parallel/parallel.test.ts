import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { treeFromPaths } from '../../base/pytree.js'
import { setBackend } from '../../engine/api/engine.js'
import { TensorType } from '../../engine/api/eval-shape.js'
import { openBackend } from '../../engine/api/open-backend.js'
import { referenceBackend } from '../../engine/compile/reference/backend.js'
import { Mesh } from '../../engine/program/sharding.js'
import { declareParameters } from '../../model/parameters.js'
import { config, parameterValues, task } from '../../../test/train/small-run.js'
import { xlaPlugin } from '../../../test/xla-plugin.js'
import { openCheckpoint } from '../checkpointing.js'
import type { RunConfig } from '../config.js'
import { Trainer } from '../trainer.js'
import { layoutsByPath } from './arrays.js'
import { layoutsOf } from './layouts.js'
import { meshOfRun, parseMesh } from './mesh-config.js'
import { specOf } from './rules.js'

/** 8 rows in groups of 16 tokens, without noise: whatever the batch is divided into, the groups stay the same. */
const runOn = (mesh: string, train: Partial<RunConfig['train']> = {}): RunConfig => ({
  ...config,
  model: { ...config.model, numExperts: 4, dModel: 16, numHeads: 4, dropoutRate: 0 },
  router: { ...config.router, maxGroupSize: 16, jitterNoise: 0, expertDropoutRate: 0 },
  train: {
    ...config.train,
    steps: 10,
    rows: 8,
    logEvery: 1,
    checkpointEvery: 5,
    packing: false,
    schedule: { kind: 'constant', peak: 0.001, warmupSteps: 0 },
    mesh: parseMesh(mesh)!,
    ...train,
  },
})

describe('layouts', () => {
  const mesh = new Mesh({ data: 2, expert: 2, tensor: 2 })

  it('divide axes by their names; a mesh axis divides one of them, and only evenly', () => {
    expect(String(specOf([4, 16, 32], ['expert', 'mlp_embed', 'expert_mlp'], mesh))).toBe('P(expert, null, tensor)')
    expect(String(specOf([8, 16, 5], ['batch', 'length', 'vocab'], mesh))).toBe('P((data, expert))')
    expect(String(specOf([4, 8, 3, 16], ['expert', 'group', 'capacity', 'embed'], mesh))).toBe('P(expert, data)')
    expect(String(specOf([6, 16], ['batch', 'length'], mesh))).toBe('P(data)')
  })

  it("divide the optimizer's state as its parameters", () => {
    const { model, router } = runOn('data=1')
    const specs = declareParameters(model, router)
    const kernel = 'encoder/layers_0/mlp/expert/wi/kernel'
    const types = {
      params: treeFromPaths(specs.map(s => [s.path, new TensorType(s.dtype, s.shape)] as const)),
      optimizer: treeFromPaths([
        [`m/${kernel}`, new TensorType('float32', [4, 16, 16])],
        [`${kernel}/v_row`, new TensorType('float32', [4, 16])],
        [`${kernel}/v_col`, new TensorType('float32', [4, 16])],
      ]),
      frozen: {},
    }
    const { params, optimizer } = layoutsOf(mesh, specs, types)
    expect(String(layoutsByPath(params).get(kernel)?.spec)).toBe('P(expert, null, tensor)')
    expect([...layoutsByPath(optimizer)].map(([path, { spec }]) => `${path} ${spec}`).sort()).toEqual([
      `${kernel}/v_col P(expert, tensor)`,
      `${kernel}/v_row P(expert)`,
      `m/${kernel} P(expert, null, tensor)`,
    ])
  })

  it('need a batch and a model that the mesh divides', () => {
    expect(parseMesh('data=2, expert=4')).toEqual({ data: 2, expert: 4, tensor: 1 })
    for (const wrong of ['model=2', 'data', 'data=0', 'data=2,data=2']) expect(parseMesh(wrong)).toBeUndefined()
    expect(meshOfRun(runOn('data=1'))).toBeNull()
    expect(() => meshOfRun(runOn('data=3'))).toThrow(
      'train.mesh data=3: data x expert is 3, which does not divide the rows computed together (train.rows / train.accumulate), 8',
    )
    expect(() => meshOfRun(runOn('expert=8'))).toThrow(
      'train.mesh expert=8: expert is 8, which does not divide the number of experts (model.numExperts), 4',
    )
  })
})

interface Trained {
  losses: number[]
  values: number[]
}

async function finish(trainer: Trainer, folder: string): Promise<Trained> {
  const losses: number[] = []
  await trainer.run(folder, {
    onProgress: ({ record }) => {
      if (record) losses.push(Number(record.loss))
    },
  })
  return { losses, values: await parameterValues(trainer) }
}

const near = (actual: readonly number[], wanted: readonly number[]): void => {
  expect(actual.length).toBe(wanted.length)
  expect(actual.reduce((worst, a, i) => Math.max(worst, Math.abs(a - wanted[i])), 0)).toBeLessThan(1e-5)
}

// XLA compiles the step for each mesh, which takes long: XLA_MESHES=all tests all of them.
const meshes =
  process.env.XLA_MESHES === 'all'
    ? ['data=2', 'expert=4', 'tensor=2', 'data=2,expert=2', 'data=2,expert=2,tensor=2']
    : ['data=2,expert=2,tensor=2']

describe.skipIf(!xlaPlugin)('a training on several devices', () => {
  let folder: string
  let single: Trained
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchyard-'))
    setBackend(await openBackend('xla', { plugin: xlaPlugin, cpuDevices: 8, cache: false }))
    single = await finish(await Trainer.begin(runOn('data=1'), { task }), join(folder, 'single'))
  })
  afterAll(async () => {
    setBackend(referenceBackend)
    await rm(folder, { recursive: true })
  })

  it.each(meshes)('%s: makes the losses and parameters of one device, and resumes exactly', async mesh => {
    const run = join(folder, mesh)
    const { losses, values } = await finish(await Trainer.begin(runOn(mesh), { task }), run)
    near(losses, single.losses)
    near(values, single.values)

    const read = (name: string): Promise<Buffer> => readFile(join(run, 'step-10', name))
    const files = await Promise.all(['params.safetensors', 'optimizer.safetensors'].map(read))
    // The checkpoint of step 5 goes on as the run did, bit for bit, on the same mesh; on one device, nearly so.
    const resume = async (on: string, into: string): Promise<Trained> => {
      const checkpoint = await openCheckpoint(join(run, 'step-5'))
      try {
        return await finish(await Trainer.resume(runOn(on), checkpoint, { task }), join(folder, into))
      } finally {
        await checkpoint.close()
      }
    }
    near((await resume('data=1', `${mesh} on one`)).values, single.values)
    expect((await resume(mesh, mesh)).values).toEqual(values)
    expect(await Promise.all(['params.safetensors', 'optimizer.safetensors'].map(read))).toEqual(files)
  })
})
