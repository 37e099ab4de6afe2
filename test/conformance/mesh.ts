import { afterAll, beforeAll, expect, it } from 'vitest'
import { setBackend } from '../../src/engine/api/engine.js'
import { jit } from '../../src/engine/api/jit.js'
import { devicePut } from '../../src/engine/api/mesh.js'
import * as np from '../../src/engine/api/np.js'
import * as random from '../../src/engine/api/random.js'
import type { Tensor } from '../../src/engine/api/tensor.js'
import type { Backend } from '../../src/engine/compile/backend.js'
import { referenceBackend } from '../../src/engine/compile/reference/backend.js'
import { Mesh, NamedSharding, P } from '../../src/engine/program/sharding.js'
import type { SpecEntry } from '../../src/engine/program/sharding.js'
import { meshResults } from './mesh-cases.js'

const meshes = [
  new Mesh({ data: 1 }),
  new Mesh({ data: 2 }),
  new Mesh({ data: 2, expert: 2 }),
  new Mesh({ data: 2, expert: 2, tensor: 2 }),
]

const near = (actual: readonly number[], wanted: readonly number[], what: string): void => {
  expect(actual.length).toBe(wanted.length)
  actual.forEach((a, i) =>
    expect(Math.abs(a - wanted[i]), `${what}: ${a} is not ${wanted[i]}`).toBeLessThan(2e-6 * (1 + Math.abs(wanted[i]))),
  )
}

/** The tests that every backend with several devices must pass. `create`: makes one with as many devices, or more. */
export function meshConformance(create: (devices: number) => Promise<Backend>): void {
  afterAll(() => {
    setBackend(referenceBackend)
  })

  it.each(meshes.map(mesh => [`${mesh}`, mesh] as const))('%s: compute what one device does', async (name, mesh) => {
    setBackend(await create(mesh.size))
    const onMesh = await meshResults(mesh)
    setBackend(referenceBackend)
    const expected = await meshResults(mesh)
    expected.forEach((e, i) => near(onMesh[i], e, `result ${i} on ${name}`))
  })

  const mesh = new Mesh({ data: 2, expert: 2 })
  let four: Backend
  beforeAll(async () => {
    four = await create(4)
  })
  const on = (...entries: readonly SpecEntry[]): NamedSharding => new NamedSharding(mesh, P(...entries))

  it('take and return arrays that are split, and donate them', async () => {
    setBackend(four)
    const x = devicePut(np.reshape(np.arange(16), [4, 4]), on('data', 'expert'))
    expect(String(await x.sharding())).toBe('P(data, expert) over mesh(data=2, expert=2)')
    const step = jit((s: Tensor) => np.add(s, 1), { donate: [0], outShardings: on('data', 'expert') })
    const next = step(step(x))
    expect(String(await next.sharding())).toBe('P(data, expert) over mesh(data=2, expert=2)')
    expect(await next.numbers()).toEqual(Array.from({ length: 16 }, (_, i) => i + 2))
    await expect(async () => x.numbers()).rejects.toThrow('was donated to')
    // An array moves to where a program wants it, and so does one that is on a single device.
    const product = jit((a: Tensor, b: Tensor) => np.matmul(a, b), {
      inShardings: [on('data'), on(null, 'expert')],
      outShardings: on(['data', 'expert']),
    })
    const identity = np.identity(4, 'int32')
    const moved = product(next, identity)
    expect(await moved.numbers()).toEqual(await next.numbers())
    expect(String((await moved.sharding())?.spec)).toBe('P((data, expert))')
    expect(await devicePut(moved, on(null, 'data')).numbers()).toEqual(await next.numbers())
  })

  it('compute operations outside of jit where their operands are', async () => {
    setBackend(four)
    const x = devicePut(np.arange(8), on('data'))
    const sum = np.add(x, 1)
    expect((await sum.sharding())?.mesh.size).toBe(4)
    expect(await sum.numbers()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('draw the random numbers that one device draws', async () => {
    setBackend(four)
    const draw = (key: Tensor): Tensor => random.bits(key, [4, 6])
    const split = jit(draw, { outShardings: on('data', 'expert') })
    expect(await split(random.key(3)).numbers()).toEqual(await jit(draw)(random.key(3)).numbers())
  })

  it('are refused where there are too few devices', () => {
    setBackend(four)
    const large = new NamedSharding(new Mesh({ data: 16 }), P('data'))
    expect(() => devicePut(np.ones([16]), large)).toThrow(
      `mesh(data=16) needs 16 devices, and the backend ${four.name} has ${four.numDevices}`,
    )
  })
}
