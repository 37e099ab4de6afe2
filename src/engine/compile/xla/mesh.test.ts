import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { jit } from '../../api/jit.js'
import * as lax from '../../api/lax.js'
import { devicePut, withShardingConstraint } from '../../api/mesh.js'
import * as np from '../../api/np.js'
import * as random from '../../api/random.js'
import { setBackend } from '../../api/engine.js'
import { openBackend } from '../../api/open-backend.js'
import { shardMap } from '../../api/shard-map.js'
import type { SpecTree } from '../../api/shard-map.js'
import * as tree from '../../api/tree.js'
import type { Tensor } from '../../api/tensor.js'
import { valueAndGrad } from '../../api/transforms.js'
import { Mesh, NamedSharding, P } from '../../program/sharding.js'
import type { SpecEntry } from '../../program/sharding.js'
import type { Backend } from '../backend.js'
import { referenceBackend } from '../reference/backend.js'
import { xlaPlugin } from '../../../../test/xla-plugin.js'
import { variedArray as array } from '../../../../test/varied-array.js'

const meshes = [
  new Mesh({ data: 1 }),
  new Mesh({ data: 2 }),
  new Mesh({ data: 2, expert: 2 }),
  new Mesh({ data: 2, expert: 2, tensor: 2 }),
]

/** A function of arrays, on one mesh: how its arguments are split. */
interface Case {
  f: (...args: Tensor[]) => Tensor | Tensor[]
  args: () => Tensor[]
}
const list = (x: Tensor | Tensor[]): Tensor[] => (Array.isArray(x) ? x : [x])

/** Functions under `shardMap`, with every collective, and functions with constraints, for a mesh. */
function casesOn(mesh: Mesh): { [name: string]: Case } {
  const names = mesh.axes.map(a => a.name)
  const [first] = names
  const last = names[names.length - 1]
  const mapped = (f: Case['f'], inSpecs: SpecTree, out: SpecTree): Case['f'] => shardMap(f, mesh, { in: inSpecs, out })
  const on = (...entries: readonly SpecEntry[]): NamedSharding => new NamedSharding(mesh, P(...entries))
  const n = mesh.size
  return {
    'sums, means and extremes': {
      f: mapped(
        x => [lax.psum(x, names), lax.pmean(x, first), lax.pmax(x, names), lax.pmin(x, last)],
        [P(names)],
        [P(), P(names.slice(1)), P(), P(names.slice(0, -1))],
      ),
      args: () => [array([2 * n, 3], 0)],
    },
    'gathers and scatters': {
      f: mapped(
        x => [
          lax.allGather(x, names, { tiled: true }),
          lax.allGather(x, last, { axis: 1 }),
          lax.psumScatter(lax.allGather(x, last, { tiled: true }), last, { tiled: true }),
        ],
        [P(names)],
        [P(), P(names.slice(0, -1)), P(names)],
      ),
      args: () => [array([2 * n, 3], 1)],
    },
    exchanges: {
      f: mapped(
        x => [
          lax.allToAll(x, names, 0, 1, { tiled: true }),
          lax.allToAll(np.reshape(x, [mesh.axisSize(last), -1]), last, 0, 0),
        ],
        [P(names)],
        [P(names), P(names)],
      ),
      args: () => [array([n * n, 2 * n], 2)],
    },
    'permutations and indices': {
      f: mapped(
        x => {
          const size = mesh.axisSize(first)
          const ring = Array.from({ length: size }, (_, i) => [i, (i + 1) % size] as const)
          const index = np.astype(lax.axisIndex(names), 'float32')
          return [lax.ppermute(np.multiply(x, index), first, ring), lax.ppermute(x, last, [[0, 0]])]
        },
        [P(names)],
        P(names),
      ),
      args: () => [array([n, 3], 3)],
    },
    'a loop with a sum in it': {
      f: mapped(
        (w, xs) =>
          lax.scan(
            (c: Tensor, row: Tensor): [Tensor, Tensor] => {
              const next = np.tanh(np.add(np.multiply(c, w), lax.pmean(row, first)))
              return [next, next]
            },
            w,
            xs,
          )[1],
        [P(), P(null, first)],
        P(),
      ),
      args: () => [array([2], 0), array([3, 2 * mesh.axisSize(first)], 4)],
    },
    'a two-layer network with constraints': {
      f: (w1, w2, x) => {
        const hidden = withShardingConstraint(np.tanh(np.matmul(x, w1)), on(first, last === first ? null : last))
        return withShardingConstraint(np.matmul(hidden, w2), on(first))
      },
      args: () => [array([4, 8], 0), array([8, 3], 1), array([2 * n, 4], 2)],
    },
  }
}

const near = (actual: readonly number[], wanted: readonly number[], what: string): void => {
  expect(actual.length).toBe(wanted.length)
  actual.forEach((a, i) =>
    expect(Math.abs(a - wanted[i]), `${what}: ${a} is not ${wanted[i]}`).toBeLessThan(2e-6 * (1 + Math.abs(wanted[i]))),
  )
}

/** The results of all cases on a mesh, and the gradients of weighted sums of them, from one program. */
async function results(cases: readonly Case[]): Promise<number[][]> {
  const args = cases.map(c => c.args())
  const all = jit((...values: Tensor[][]) =>
    cases.map(({ f }, i) => {
      const loss = (...xs: Tensor[]): [Tensor, Tensor[]] => {
        const ys = list(f(...xs))
        return [ys.map((y, k) => np.sum(np.multiply(y, array(y.shape, 5 + k)))).reduce((a, b) => np.add(a, b)), ys]
      }
      return valueAndGrad(loss, { argument: values[i].map((_, k) => k), hasAux: true })(...values[i])
    }),
  )
  return Promise.all(tree.leaves<Tensor>(all(...args)).map(y => y.numbers()))
}

describe.skipIf(!xlaPlugin)('programs on the devices of a mesh', () => {
  let xla: Backend
  beforeAll(async () => {
    xla = await openBackend('xla', { plugin: xlaPlugin, cpuDevices: 8, cache: false })
  })
  afterAll(() => {
    setBackend(referenceBackend)
  })

  it.each(meshes.map(mesh => [`${mesh}`, mesh] as const))('%s: compute what one device does', async (name, mesh) => {
    const cases = Object.values(casesOn(mesh))
    setBackend(xla)
    const onMesh = await results(cases)
    setBackend(referenceBackend)
    const expected = await results(cases)
    expected.forEach((e, i) => near(onMesh[i], e, `result ${i} on ${name}`))
  })

  const mesh = new Mesh({ data: 2, expert: 2 })
  const on = (...entries: readonly SpecEntry[]): NamedSharding => new NamedSharding(mesh, P(...entries))

  it('take and return arrays that are split, and donate them', async () => {
    setBackend(xla)
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
    setBackend(xla)
    const x = devicePut(np.arange(8), on('data'))
    const sum = np.add(x, 1)
    expect((await sum.sharding())?.mesh.size).toBe(4)
    expect(await sum.numbers()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('draw the random numbers that one device draws', async () => {
    setBackend(xla)
    const draw = (key: Tensor): Tensor => random.bits(key, [4, 6])
    const split = jit(draw, { outShardings: on('data', 'expert') })
    expect(await split(random.key(3)).numbers()).toEqual(await jit(draw)(random.key(3)).numbers())
  })

  it('are refused where there are too few devices', () => {
    setBackend(xla)
    const large = new NamedSharding(new Mesh({ data: 16 }), P('data'))
    expect(() => devicePut(np.ones([16]), large)).toThrow('mesh(data=16) needs 16 devices, and the backend xla has 8')
  })
})
