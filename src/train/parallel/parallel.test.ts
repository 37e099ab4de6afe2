import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { treeFromPaths } from '../../base/pytree.js'
import { setBackend } from '../../engine/api/engine.js'
import { TensorType } from '../../engine/api/eval-shape.js'
import { openBackend } from '../../engine/api/open-backend.js'
import type { Backend } from '../../engine/compile/backend.js'
import { referenceBackend } from '../../engine/compile/reference/backend.js'
import { Mesh } from '../../engine/program/sharding.js'
import { declareParameters } from '../../model/parameters.js'
import { meshComparison, runOn } from '../../../test/train/mesh-runs.js'
import type { VariantName } from '../../../test/train/mesh-runs.js'
import { xlaPlugin } from '../../../test/xla-plugin.js'
import { layoutsByPath } from './arrays.js'
import { layoutsOf } from './layouts.js'
import { meshOfRun, parseMesh } from './mesh-config.js'
import { specOf } from './rules.js'

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
      'train.mesh data=3: data x expert is 3, which does not divide the rows computed together (train.rows / train.accumulate), 8: ' +
        'choose a divisor of 8, or change that number',
    )
    expect(() => meshOfRun(runOn('expert=8'))).toThrow(
      'train.mesh expert=8: expert is 8, which does not divide the number of experts (model.numExperts), 4',
    )
  })
})

// XLA compiles the step for each mesh, which takes long: XLA_MESHES=all tests all of them.
const all = process.env.XLA_MESHES === 'all'
const dividedByXla: [variant: VariantName, mesh: string][] = [
  ['Adam', 'data=2,expert=2,tensor=2'],
  ['Adafactor, no capacity', 'data=2,expert=2'],
  ...(all
    ? ([
        ...['data=2', 'expert=4', 'tensor=2', 'data=2,expert=2'].map(mesh => ['Adam', mesh]),
        ['two parts, embeddings that are not tied, and an average', 'data=2,expert=2'],
        ['adapters', 'data=2,expert=2'],
      ] as [VariantName, string][])
    : []),
]
describe.skipIf(!xlaPlugin)('a training on several devices', () => {
  let folder: string
  let xla: Backend
  let check: (variant: VariantName, mesh: string) => Promise<void>
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchyard-'))
    check = meshComparison(folder)
    xla = await openBackend('xla', { plugin: xlaPlugin, cpuDevices: 8, cache: false })
  })
  afterAll(async () => {
    setBackend(referenceBackend)
    await rm(folder, { recursive: true })
  })

  it.each(dividedByXla)(
    '%s, %s: the compiler divides the step of one device, and it resumes exactly',
    async (v, mesh) => {
      setBackend(xla)
      await check(v, mesh)
    },
  )

  // More of these runs, on processes, are in processes.test.ts.
  it('collectives give the step of one device, and it resumes exactly', async () => {
    setBackend(Object.create(xla, { partitionsPrograms: { value: false } }) as Backend)
    await check('two parts, embeddings that are not tied, and an average', 'data=2,expert=2')
  })
})
