import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { treeFromPaths } from '../../base/pytree.js'
import { setBackend } from '../../engine/api/engine.js'
import { TensorType } from '../../engine/api/eval-shape.js'
import { openBackend } from '../../engine/api/open-backend.js'
import type { Checkpoint } from '../../checkpoint/native.js'
import type { Backend } from '../../engine/compile/backend.js'
import { referenceBackend } from '../../engine/compile/reference/backend.js'
import { Mesh } from '../../engine/program/sharding.js'
import { declareParameters } from '../../model/parameters.js'
import { config, parameterValues, task } from '../../../test/train/small-run.js'
import { xlaPlugin } from '../../../test/xla-plugin.js'
import { openCheckpoint } from '../checkpointing.js'
import type { RunConfig } from '../config.js'
import { Trainer } from '../trainer.js'
import type { Validation } from '../validation.js'
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
    const { params, optimizer } = layoutsOf({ mesh, collectives: false }, specs, types)
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
  /** The loss of each validation. */
  validations: number[]
  values: number[]
}

/** Makes the remaining steps of a run, from a checkpoint if there is one. */
async function finish(run: RunConfig, folder: string, checkpoint?: Checkpoint): Promise<Trained> {
  const [losses, validations]: number[][] = [[], []]
  const values = { task, onValidation: ({ loss }: Validation) => void validations.push(loss) }
  const trainer = checkpoint ? await Trainer.resume(run, checkpoint, values) : await Trainer.begin(run, values)
  await trainer.run(folder, {
    onProgress: ({ record }) => {
      if (record) losses.push(Number(record.loss))
    },
  })
  return { losses, validations, values: await parameterValues(trainer) }
}

const near = (actual: readonly number[], wanted: readonly number[]): void => {
  expect(actual.length).toBe(wanted.length)
  expect(actual.reduce((worst, a, i) => Math.max(worst, Math.abs(a - wanted[i])), 0)).toBeLessThan(1e-5)
}

/** Adafactor that factors the small matrices here too. */
const adafactor: RunConfig['train']['optimizer'] = {
  kind: 'adafactor',
  decayRate: 0.8,
  stepOffset: 0,
  clippingThreshold: 1,
  minSizeToFactor: 8,
  epsilon1: 1e-30,
  epsilon2: 1e-3,
}

interface Variant {
  readonly train?: Partial<RunConfig['train']>
  readonly router?: Partial<RunConfig['router']>
  readonly model?: Partial<RunConfig['model']>
}

/** Runs that differ in what is divided. */
const variants = {
  Adam: {},
  'Adafactor, no capacity': {
    train: { optimizer: adafactor, validateEvery: 10, validateAnswers: 0 },
    router: { trainCapacityFactor: null },
  },
  'two parts, embeddings that are not tied, and an average': {
    train: { accumulate: 2, averageDecay: 0.9, updateNorm: true, validateEvery: 5, validateAnswers: 0 },
    model: { tiedLogits: false },
  },
  adapters: {
    train: { lora: { rank: 2, alpha: 4, targets: ['query', '**/expert/**/kernel'] }, freeze: ['decoder/**'] },
  },
} satisfies Record<string, Variant>

const runOf = (variant: keyof typeof variants, mesh: string): RunConfig => {
  const { train, router, model }: Variant = variants[variant]
  const run = runOn(mesh, train)
  return { ...run, router: { ...run.router, ...router }, model: { ...run.model, ...model } }
}

// XLA compiles the step for each mesh, which takes long: XLA_MESHES=all tests all of them.
const all = process.env.XLA_MESHES === 'all'
const dividedByXla: [variant: keyof typeof variants, mesh: string][] = [
  ['Adam', 'data=2,expert=2,tensor=2'],
  ['Adafactor, no capacity', 'data=2,expert=2'],
  ...(all
    ? (['data=2', 'expert=4', 'tensor=2', 'data=2,expert=2'].map(mesh => ['Adam', mesh]) as ['Adam', string][])
    : []),
]
const byCollectives: [variant: keyof typeof variants, mesh: string][] = [
  ['two parts, embeddings that are not tied, and an average', 'data=2,expert=2'],
  ...(all
    ? ([
        ['Adam', 'data=2,expert=2'],
        ['Adam', 'data=2'],
        ['Adam', 'expert=4'],
        ['Adafactor, no capacity', 'data=2,expert=2'],
        ['adapters', 'data=2,expert=2'],
      ] as [keyof typeof variants, string][])
    : []),
]

describe.skipIf(!xlaPlugin)('a training on several devices', () => {
  let folder: string
  let xla: Backend
  const single = new Map<string, Promise<Trained>>()
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchyard-'))
    xla = await openBackend('xla', { plugin: xlaPlugin, cpuDevices: 8, cache: false })
  })
  afterAll(async () => {
    setBackend(referenceBackend)
    await rm(folder, { recursive: true })
  })

  const onOne = async (variant: keyof typeof variants): Promise<Trained> => {
    const known = single.get(variant)
    if (known) return known
    const made = finish(runOf(variant, 'data=1'), join(folder, `${variant} single`))
    single.set(variant, made)
    return made
  }

  async function check(variant: keyof typeof variants, mesh: string): Promise<void> {
    const one = await onOne(variant)
    const run = await mkdtemp(join(folder, mesh))
    const { losses, validations, values } = await finish(runOf(variant, mesh), run)
    near(losses, one.losses)
    near(validations, one.validations)
    near(values, one.values)

    const read = (name: string): Promise<Buffer> => readFile(join(run, 'step-10', name))
    const files = await Promise.all(['params.safetensors', 'optimizer.safetensors'].map(read))
    // The checkpoint of step 5 goes on as the run did, bit for bit, on the same mesh; on one device, nearly so.
    const resume = async (on: string, into: string): Promise<Trained> => {
      const checkpoint = await openCheckpoint(join(run, 'step-5'))
      try {
        return await finish(runOf(variant, on), into, checkpoint)
      } finally {
        await checkpoint.close()
      }
    }
    near((await resume('data=1', `${run} on one`)).values, one.values)
    expect((await resume(mesh, run)).values).toEqual(values)
    expect(await Promise.all(['params.safetensors', 'optimizer.safetensors'].map(read))).toEqual(files)
  }

  it.each(dividedByXla)(
    '%s, %s: the compiler divides the step of one device, and it resumes exactly',
    async (v, mesh) => {
      setBackend(xla)
      await check(v, mesh)
    },
  )

  it.each(byCollectives)('%s, %s: collectives give the step of one device, and it resumes exactly', async (v, mesh) => {
    setBackend(Object.create(xla, { partitions: { value: false } }) as Backend)
    await check(v, mesh)
  })
})
