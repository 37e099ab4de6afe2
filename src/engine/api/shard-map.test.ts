import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Mesh, NamedSharding, P } from '../program/sharding.js'
import { jit } from './jit.js'
import * as lax from './lax.js'
import { devicePut, withShardingConstraint } from './mesh.js'
import * as np from './np.js'
import { shardMap } from './shard-map.js'
import type { SpecTree } from './shard-map.js'
import type { Tensor } from './tensor.js'
import { grad, jvp, valueAndGrad } from './transforms.js'
import { vmap } from './vmap.js'
import { variedArray as array } from '../../../test/varied-array.js'

const mesh = new Mesh({ data: 2, expert: 2 })
const both = ['data', 'expert']

interface Case {
  f: (...args: Tensor[]) => Tensor | Tensor[]
  in: SpecTree
  out: SpecTree
  args: Tensor[]
}

const cases: { [name: string]: () => Case } = {
  dataParallel: () => ({
    f: (w, x) => lax.pmean(np.sum(np.tanh(np.matmul(x, w))), both),
    in: [P(), P(both)],
    out: P(),
    args: [array([3, 2], 0), array([4, 3], 1)],
  }),
  // Token i of each device goes to expert i.
  experts: () => ({
    f: (w, x) => {
      const tokens = lax.allToAll(np.expandDims(x, 1), 'expert', 0, 1, { tiled: true })
      const hidden = np.tanh(np.einsum('ecd,edf->ecf', tokens, w))
      return np.squeeze(lax.allToAll(hidden, 'expert', 1, 0, { tiled: true }), 1)
    },
    in: [P('expert'), P(both)],
    out: P(both),
    args: [array([2, 2, 2], 0), array([8, 2], 1)],
  }),
  tensorParallel: () => ({
    f: (w1, w2, x) => lax.psum(np.matmul(np.tanh(np.matmul(x, w1)), w2), 'expert'),
    in: [P(null, 'expert'), P('expert'), P('data')],
    out: P('data'),
    args: [array([3, 4], 0), array([4, 2], 2), array([2, 3], 1)],
  }),
  mixed: () => ({
    f: (x, w) => {
      const gathered = lax.allGather(np.multiply(x, w), 'expert', { tiled: true })
      const share = lax.psumScatter(np.multiply(np.sin(gathered), w.get(np.slice(0, 1))), 'data', { tiled: true })
      const sent = lax.ppermute(share, 'expert', [[0, 1]])
      const factor = np.add(np.astype(lax.axisIndex('data'), 'float32'), 1)
      return np.add(np.multiply(sent, factor), np.square(share))
    },
    in: [P(both), P()],
    out: P(['expert', 'data']),
    args: [array([8], 0), array([2], 3)],
  }),
  replicated: () => ({
    f: (w, x) => [np.multiply(np.sin(w), 2), np.multiply(x, np.cos(w.get(0)))],
    in: [P(), P('data')],
    out: [P(), P('data')],
    args: [array([3], 0), array([4], 1)],
  }),
  scan: () => ({
    f: (w, x) => {
      const step = (c: Tensor, row: Tensor): [Tensor, Tensor] => {
        const next = np.tanh(np.add(np.multiply(c, w), lax.pmean(row, 'data')))
        return [next, np.multiply(next, row)]
      }
      return lax.psum(lax.scan(step, np.multiply(w, 0.5), x)[1], 'data')
    },
    in: [P('expert'), P(null, both)],
    out: P(null, 'expert'),
    args: [array([2], 0.5), array([3, 4], 1)],
  }),
}

interface Expected {
  value: number
  results: number[][]
  gradients: number[][]
}
const expected = JSON.parse(
  readFileSync(resolve(import.meta.dirname, '../../../test/fixtures/jax-shard-map.json'), 'utf8'),
) as { [name: string]: Expected }

const list = (x: Tensor | Tensor[]): Tensor[] => (Array.isArray(x) ? x : [x])
const loss =
  (f: (...args: Tensor[]) => Tensor | Tensor[]) =>
  (...args: Tensor[]): Tensor =>
    list(f(...args))
      .map((y, i) => np.sum(np.multiply(y, array(y.shape, 7 + i))))
      .reduce((a, b) => np.add(a, b))

function near(actual: readonly number[], wanted: readonly number[]): void {
  expect(actual.length).toBe(wanted.length)
  actual.forEach((a, i) =>
    expect(Math.abs(a - wanted[i]), `${a} is not ${wanted[i]}`).toBeLessThan(2e-6 * (1 + Math.abs(wanted[i]))),
  )
}

describe('results and gradients are those of jax.shard_map', () => {
  it.each(Object.keys(cases))('%s', async name => {
    const { f, in: inSpecs, out, args } = cases[name]()
    const mapped = shardMap(f, mesh, { in: inSpecs, out })
    const { value, results, gradients } = expected[name]
    const outputs = list(jit(mapped)(...args))
    for (const [i, y] of outputs.entries()) near(await y.numbers(), results[i])
    const both = jit(valueAndGrad(loss(mapped), { argument: args.map((_, i) => i) }))
    const [total, cts] = both(...args)
    near([await total.item()], [value])
    for (const [i, g] of cts.entries()) near(await g.numbers(), gradients[i])
  })

  it.each(Object.keys(cases))('%s: forward mode agrees with reverse mode', async name => {
    const { f, in: inSpecs, out, args } = cases[name]()
    const g = loss(shardMap(f, mesh, { in: inSpecs, out }))
    const directions = args.map((a, i) => array(a.shape, 11 + i))
    const [, derivative] = jvp(g, args, directions)
    const products = expected[name].gradients.map((ct, i) =>
      np.sum(np.multiply(np.array(ct), np.reshape(directions[i], [-1]))),
    )
    near([await derivative.item()], [await products.reduce((a, b) => np.add(a, b)).item()])
  })
})

describe('shardMap', () => {
  it('composes with vmap, on either side of it', async () => {
    const { f, in: inSpecs, out, args } = cases.tensorParallel()
    const [w1, w2, x] = args
    const mapped = shardMap(f as (...a: Tensor[]) => Tensor, mesh, { in: inSpecs, out })
    const xs = np.stack([x, np.negative(x)])
    const batched = vmap((v: Tensor) => mapped(w1, w2, v))(xs)
    near(await batched.get(1).numbers(), await mapped(w1, w2, np.negative(x)).numbers())
    const inside = shardMap((v: Tensor) => lax.psum(vmap((row: Tensor) => lax.psum(row, 'data'))(v), 'expert'), mesh, {
      in: P('data', 'expert'),
      out: P(),
    })
    const rows = array([4, 6], 2)
    const sums = await np.sum(np.reshape(rows, [2, 2, 2, 3]), { axis: [0, 2] }).numbers()
    near(await inside(rows).numbers(), sums)
  })

  it('has second derivatives', async () => {
    const f = shardMap((w: Tensor, x: Tensor) => lax.psum(np.sum(np.sin(np.multiply(x, w))), 'data'), mesh, {
      in: [P(), P('data')],
      out: P(),
    })
    const w = np.array(0.3)
    const x = array([4], 1)
    const second = grad((v: Tensor) => grad((u: Tensor) => f(u, x))(v))(w)
    const wanted = np.negative(np.sum(np.multiply(np.square(x), np.sin(np.multiply(x, w)))))
    near([await second.item()], [await wanted.item()])
  })

  it('gives arrays that the function closes over to every device', async () => {
    const w = array([2], 3)
    const f = shardMap((x: Tensor) => np.multiply(x, w), mesh, { in: P('data'), out: P('data') })
    const x = array([4], 1)
    near(await f(x).numbers(), await np.multiply(x, np.concatenate([w, w])).numbers())
  })

  it('refuses arrays that cannot be split, and results that differ without saying so', () => {
    const identity = (x: Tensor): Tensor => x
    expect(() => shardMap(identity, mesh, { in: P('data'), out: P('data') })(np.ones([3]))).toThrow(
      'shardMap: argument 0: dimension 0 of the array [3] has 3 elements, which cannot be split evenly over the 2 ' +
        'devices of mesh axis data: make it a multiple of 2, or leave it whole',
    )
    expect(() => shardMap(identity, mesh, { in: P('data'), out: P() })(np.ones([4]))).toThrow(
      'shardMap: the result f32[2] may differ between the devices along data, which its spec P() does not name: ' +
        'combine it (lax.psum), or name the axis in the spec',
    )
    const total = (x: Tensor): Tensor => lax.psum(np.sum(x), 'data')
    expect(() => shardMap(total, mesh, { in: P('data'), out: P('data') })(np.ones([4]))).toThrow(
      'result 0 is f32[] on each device, which has fewer dimensions than its spec P(data)',
    )
    expect(() => shardMap(identity, mesh, { in: [P('data'), P()], out: P() })(np.ones([4]))).toThrow(
      'shardMap: `in` is a list of 2, but is for a list of 1: give one for each array, or one for all',
    )
  })
})

describe('collectives', () => {
  const over = (f: (x: Tensor) => Tensor, spec = P(both), out = P(both)): ((x: Tensor) => Tensor) =>
    shardMap(f, mesh, { in: spec, out })

  it('stack by default, as in JAX', async () => {
    const x = np.arange(8)
    const stacked = over(v => lax.allGather(v, both, { axis: 1 }), P(both), P())(x)
    expect(stacked.shape).toEqual([2, 4])
    expect(await stacked.numbers()).toEqual([0, 2, 4, 6, 1, 3, 5, 7])
    const square = np.reshape(np.arange(16), [16])
    const share = over(v => np.reshape(lax.psumScatter(v, both), [1]))(square)
    expect(await share.numbers()).toEqual([24, 28, 32, 36])
    const exchanged = over(v => lax.allToAll(v, both, 0, 0))(square)
    expect(await exchanged.numbers()).toEqual([0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15])
  })

  it('over several axes number the devices with the last axis fastest', async () => {
    expect(await over(v => np.add(v, lax.axisIndex(both)))(np.zeros([4], 'int32')).numbers()).toEqual([0, 1, 2, 3])
    const reversed = over(v => np.add(v, lax.axisIndex(['expert', 'data'])))
    expect(await reversed(np.zeros([4], 'int32')).numbers()).toEqual([0, 2, 1, 3])
    const x = np.arange(16)
    const tiled = over(v => lax.allToAll(v, both, 0, 0, { tiled: true }))(x)
    expect(await tiled.numbers()).toEqual([0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15])
    const turned = over(v => lax.allToAll(v, both, 0, 1, { tiled: true }), P(null, both), P(both))
    const rows = np.reshape(np.arange(16), [4, 4])
    expect(await turned(rows).numbers()).toEqual(await rows.numbers())
  })

  it('give the largest and smallest, and trees', async () => {
    const x = np.array([3, 1, 4, 2])
    expect(await over(v => lax.pmax(v, both), P(both), P())(x).numbers()).toEqual([4])
    expect(await over(v => lax.pmin(v, 'data'), P(both), P('expert'))(x).numbers()).toEqual([3, 1])
    const tree = shardMap((v: { a: Tensor }) => lax.psum(v, both), mesh, { in: P(both), out: P() })
    expect(await tree({ a: x }).a.numbers()).toEqual([10])
  })

  it('combine the examples of a vmap with a named axis', async () => {
    const centered = vmap((x: Tensor) => np.subtract(x, lax.pmean(x, 'batch')), { axisName: 'batch' })
    expect(await centered(np.array([1, 2, 6])).numbers()).toEqual([-2, -1, 3])
    const jitted = jit((x: Tensor) => lax.psum(x, 'batch'))
    const sums = vmap((x: Tensor) => jitted(x), { axisName: 'batch' })
    expect(await sums(np.array([1, 2])).numbers()).toEqual([3, 3])
    expect(await sums(np.array([1, 2, 3])).numbers()).toEqual([6, 6, 6])
  })

  it('need the axis that they name', () => {
    expect(() => lax.psum(np.ones([2]), 'data')).toThrow(
      'lax.psum: there is no axis data here: axes have names within shardMap, and vmap with axisName',
    )
    expect(() => over(v => lax.psum(v, 'model'))(np.ones([4]))).toThrow(
      'lax.psum: there is no axis model here: the axes are data, expert',
    )
    expect(() => over(v => lax.allToAll(v, 'data', 0, 0))(np.ones([12]))).toThrow(
      'lax.allToAll: axis 0 of [3] must have one element for each of the 2 devices: for several elements a device, set tiled',
    )
    expect(() => over(v => lax.ppermute(v, 'data', [[0, 2]]))(np.ones([4]))).toThrow(
      'ppermute(f32[1]): the pairs [[0,2]] name a device that is not in 0..1, the devices of data',
    )
  })
})

describe('on a backend with one device', () => {
  const sharding = new NamedSharding(mesh, P('data'))

  it('constraints do nothing, and have derivatives', async () => {
    const f = jit((x: Tensor) => np.sum(np.square(withShardingConstraint(x, sharding))))
    const x = array([4], 0)
    near(await grad(f)(x).numbers(), await np.multiply(x, 2).numbers())
  })

  it('a mesh of more devices is refused', () => {
    const message = 'mesh(data=2, expert=2) needs 4 devices, and the backend onnx has 1'
    expect(() => devicePut(np.ones([4]), sharding)).toThrow(message)
    expect(() => jit((x: Tensor) => x, { outShardings: sharding })(np.ones([4]))).toThrow(message)
    expect(() => devicePut(np.ones([3]), sharding)).toThrow('cannot be split evenly')
  })

  it('layouts that do not fit are refused before anything is compiled', () => {
    const uneven = 'dimension 0 of the array [3] has 3 elements, which cannot be split evenly over the 2 devices'
    const f = (x: Tensor): Tensor => np.sum(x, { axis: 1 })
    expect(() => jit(f, { outShardings: sharding })(np.ones([3, 2]))).toThrow(`jit: result 0: ${uneven}`)
    expect(() => jit(f, { inShardings: [new NamedSharding(mesh, P(null, 'data'))] })(np.ones([2, 3]))).toThrow(
      'jit: argument 0: dimension 1 of the array [2,3] has 3 elements',
    )
    expect(() => new NamedSharding(mesh, P('model'))).toThrow('mesh(data=2, expert=2) has no axis model')
  })
})
