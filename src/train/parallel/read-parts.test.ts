import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hostFrom, partOf, sizeOf, toNumbers } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { leavesWithPaths } from '../../base/pytree.js'
import { memorySource } from '../../checkpoint/byte-source.js'
import type { ByteSource } from '../../checkpoint/byte-source.js'
import { sourceOf } from '../../checkpoint/format.js'
import { openSafetensors } from '../../checkpoint/safetensors-read.js'
import { safetensors } from '../../checkpoint/safetensors.js'
import { setBackend } from '../../engine/api/engine.js'
import { shardsOf } from '../../engine/api/mesh.js'
import * as random from '../../engine/api/random.js'
import type { Tensor } from '../../engine/api/tensor.js'
import { partAt } from '../../engine/compile/parts.js'
import { referenceBackend } from '../../engine/compile/reference/backend.js'
import { Mesh, NamedSharding, P } from '../../engine/program/sharding.js'
import type { SpecEntry } from '../../engine/program/sharding.js'
import { declareParameters } from '../../model/parameters.js'
import { jobAsBackend, localBackends } from '../../../test/processes/local-job.js'
import { runOn } from '../../../test/train/mesh-runs.js'
import { readTree } from '../checkpointing.js'
import { restoreParameters } from '../restore/restore.js'
import { specOf } from './rules.js'

const filled = (shape: readonly number[]): HostTensor =>
  hostFrom(
    'float32',
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => i),
  )

/** Large enough that the file's header hardly counts. */
const tensors = new Map([
  ['experts/kernel', filled([8, 64, 32])],
  ['inner/kernel', filled([16, 256])],
  ['dense/kernel', filled([32, 16])],
])
const dense = 4 * 32 * 16

describe.each([2, 4])('%d processes', size => {
  let folder: string
  let file: Uint8Array
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchyard-parts-'))
    const path = join(folder, 'params.safetensors')
    await safetensors.write(path, sourceOf(tensors))
    file = await readFile(path)
  })
  afterAll(async () => {
    setBackend(referenceBackend)
    await rm(folder, { recursive: true })
  })

  it('read their own parts of a checkpoint, and no more bytes than these', async () => {
    const mesh = new Mesh({ data: 1, expert: size })
    const on = (...spec: SpecEntry[]): NamedSharding => new NamedSharding(mesh, P(...spec))
    const layouts = new Map([
      ['experts/kernel', on('expert')],
      ['inner/kernel', on(null, 'expert')],
      ['dense/kernel', on()],
    ])
    const expected = [...tensors].map(([path, { dtype, shape }]) => ({ path, dtype, shape }))
    for (const [rank, backend] of (await localBackends(size, () => referenceBackend)).entries()) {
      setBackend(backend)
      let read = 0
      const whole = memorySource(file)
      const counted: ByteSource = {
        ...whole,
        read: (offset, length) => {
          read += length
          return whole.read(offset, length)
        },
      }
      const reader = await openSafetensors(counted)
      const header = read
      const parts = (4 * 8 * 64 * 32) / size
      const tree = new Map(leavesWithPaths<Tensor>(await readTree(reader, expected, layouts)))
      // Rows of the other kernel lie close to each other, and are read with what is between them.
      expect(read - header).toBeGreaterThanOrEqual(parts + dense + (4 * 16 * 256) / size)
      expect(read - header).toBeLessThanOrEqual(parts + dense + 4 * 16 * 256)
      for (const [path, array] of tree) {
        const shards = await shardsOf(array)
        expect(shards).toHaveLength(1)
        const [{ start, shape, read: readPart }] = shards!
        expect(start.some(s => s > 0)).toBe(rank > 0 && path !== 'dense/kernel')
        expect(toNumbers(await readPart())).toEqual(toNumbers(partAt(tensors.get(path)!, start, shape)))
      }
    }
  })

  it("read their own experts of a model's weights", async () => {
    const { model, router } = runOn('data=1')
    const specs = declareParameters(model, router)
    const mesh = new Mesh({ data: 1, expert: size, tensor: 1 })
    const layouts = new Map(
      specs.map(({ path, shape, axes }) => [path, new NamedSharding(mesh, specOf(shape, axes, mesh))]),
    )
    const wholes = new Map(specs.map(spec => [spec.path, filled(spec.shape)]))
    const sources = new Map(specs.map(spec => [spec.path, spec.path]))
    for (const [rank, backend] of (await localBackends(size, () => referenceBackend)).entries()) {
      setBackend(backend)
      const read: string[] = []
      const weights = {
        read: async (path: string) => {
          read.push(path)
          return wholes.get(path)!
        },
        readExpert: async (path: string, expert: number) => {
          read.push(`${path} ${expert}`)
          return partOf(wholes.get(path)!, expert)
        },
      }
      const params = await restoreParameters(specs, { sources }, weights, random.key(0), {
        mesh,
        collectives: true,
        layouts,
      })
      const own = model.numExperts / size
      expect(read).toEqual(
        specs.flatMap(({ path, role }) =>
          role === 'expertKernel' ? Array.from({ length: own }, (_, i) => `${path} ${rank * own + i}`) : [path],
        ),
      )
      for (const [path, array] of leavesWithPaths<Tensor>(params)) {
        const [{ start, shape, read: readPart }] = (await shardsOf(array))!
        expect(toNumbers(await readPart())).toEqual(toNumbers(partAt(wholes.get(path)!, start, shape)))
      }
    }
  })

  it('read an expert once that `tensor` divides over devices of one memory', async () => {
    const { model, router } = runOn('data=1')
    const specs = declareParameters(model, router).filter(spec => spec.role === 'expertKernel')
    const mesh = new Mesh({ data: 1, expert: 2, tensor: 2 })
    const layouts = new Map(
      specs.map(({ path, shape, axes }) => [path, new NamedSharding(mesh, specOf(shape, axes, mesh))]),
    )
    const wholes = new Map(specs.map(spec => [spec.path, filled(spec.shape)]))
    setBackend(await jobAsBackend(4, () => referenceBackend))
    const read: string[] = []
    const params = await restoreParameters(
      specs,
      { sources: new Map(specs.map(spec => [spec.path, spec.path])) },
      {
        read: async path => wholes.get(path)!,
        readExpert: async (path, expert) => {
          read.push(`${path} ${expert}`)
          return partOf(wholes.get(path)!, expert)
        },
      },
      random.key(0),
      { mesh, collectives: false, layouts },
    )
    expect(read.toSorted()).toEqual(
      specs.flatMap(({ path, shape }) => Array.from({ length: shape[0] }, (_, i) => `${path} ${i}`)).toSorted(),
    )
    for (const [path, array] of leavesWithPaths<Tensor>(params)) {
      const shards = (await shardsOf(array))!
      expect(shards).toHaveLength(4)
      for (const { start, shape, read: readPart } of shards)
        expect(toNumbers(await readPart())).toEqual(toNumbers(partAt(wholes.get(path)!, start, shape)))
    }
  })
})
