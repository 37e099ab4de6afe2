import { describe, expect, it } from 'vitest'
import { meshConformance } from '../../../../test/conformance/mesh.js'
import { xlaPlugin } from '../../../../test/xla-plugin.js'
import { variedArray } from '../../../../test/varied-array.js'
import { hostFrom, toNumbers } from '../../../base/host-tensor.js'
import { setBackend } from '../../api/engine.js'
import { TensorType } from '../../api/eval-shape.js'
import { jit } from '../../api/jit.js'
import * as lax from '../../api/lax.js'
import { devicePut } from '../../api/mesh.js'
import * as np from '../../api/np.js'
import { openBackend } from '../../api/open-backend.js'
import { shardMap } from '../../api/shard-map.js'
import { specialize } from '../../api/specialize.js'
import type { ExampleTypes } from '../../api/specialize.js'
import type { Tensor } from '../../api/tensor.js'
import * as ops from '../../program/ops.js'
import { Mesh, NamedSharding, P } from '../../program/sharding.js'
import { traceClosed } from '../../program/trace.js'
import type { Backend } from '../backend.js'

describe.skipIf(!xlaPlugin)('programs on the devices of a mesh', () => {
  let xla: Promise<Backend> | undefined
  const opened = (): Promise<Backend> =>
    (xla ??= openBackend('xla', { plugin: xlaPlugin, cpuDevices: 8, cache: false }))
  meshConformance(opened)

  it('keep NaN in the extremes of an array that is divided', async () => {
    setBackend(await opened())
    const x = devicePut(np.array([1, NaN, 3, 2]), new NamedSharding(new Mesh({ data: 4 }), P('data')))
    const extremes = jit((v: Tensor) => np.stack([np.max(v), np.min(v)]))
    expect(await extremes(x).numbers()).toEqual([NaN, NaN])
  })

  it('divide a pad between elements', async () => {
    const mesh = new Mesh({ data: 2 })
    const program = traceClosed(
      [[2], [2, 4]].map(shape => ({ dtype: 'float32' as const, shape })),
      ([c, e]) => [ops.add(ops.reduceSum(ops.mul(e, 2), [0]), ops.pad(c, ops.full([], 0, 'float32'), [0], [1], [1]))],
    )
    const partition = { mesh, inputs: [P(), P('data')], outputs: [P('data')] }
    const backend = await opened()
    const executable = await backend.compile(program, [], partition)
    const inputs = [hostFrom('float32', [2], [1, 2]), hostFrom('float32', [2, 4], [1, 2, 3, 4, 5, 6, 7, 8])]
    const [sum] = await executable.run(inputs.map(x => backend.put(x)))
    expect(toNumbers(await sum.read())).toEqual([13, 16, 22, 24])
  })

  it('divide a pad that crops', async () => {
    const program = traceClosed(
      [[8], [2, 8]].map(shape => ({ dtype: 'float32' as const, shape })),
      ([x, e]) => [ops.add(ops.reduceSum(ops.mul(e, 2), [0]), ops.pad(x, ops.full([], 0, 'float32'), [1], [-1]))],
    )
    const backend = await opened()
    const numbers = [0, 1, 2, 3, 4, 5, 6, 7]
    const inputs = [hostFrom('float32', [8], numbers), hostFrom('float32', [2, 8], [...numbers, ...numbers])]
    for (const x of [P(), P('data')])
      for (const e of [P('data'), P(null, 'data')])
        for (const out of [P(), P('data')]) {
          const partition = { mesh: new Mesh({ data: 2 }), inputs: [x, e], outputs: [out] }
          const executable = await backend.compile(program, [], partition)
          const [sum] = await executable.run(inputs.map(t => backend.put(t)))
          expect(toNumbers(await sum.read()), `${x}, ${e} -> ${out}`).toEqual([0, 4, 9, 14, 19, 24, 29, 34])
        }
  })

  it('run a shardMap of arrays without elements', async () => {
    setBackend(await opened())
    const mesh = new Mesh({ data: 4 })
    const f = shardMap(
      (x: Tensor, y: Tensor) => [np.add(x, y), np.expandDims(np.astype(lax.axisIndex('data'), 'float32'), 0)],
      mesh,
      { in: P('data'), out: P('data') },
    )
    const [empty, numbers] = jit(f)(np.zeros([0, 4]), np.ones([0, 4]))
    expect(empty.shape).toEqual([0, 4])
    expect(await empty.numbers()).toEqual([])
    expect(await numbers.numbers()).toEqual([0, 1, 2, 3])
  })

  it('specialize computes where the weights are, and takes back what it returned', async () => {
    setBackend(await opened())
    const mesh = new Mesh({ expert: 2, tensor: 2 })
    const kernels = variedArray([4, 6, 8], 1)
    const bias = variedArray([8], 2)
    type Weights = { kernels: Tensor; bias: Tensor }
    const f = ({ kernels: k, bias: b }: Weights, x: Tensor, sum: Tensor): [Tensor, Tensor] => {
      const y = np.add(np.matmul(np.expandDims(x, 0), k), b) // [experts, rows, 8]
      return [y, np.add(sum, np.sum(y, { axis: [0, 1] }))]
    }
    const examples = [3, 101, 1009].map(rows => [
      new TensorType('float32', [rows, 6]),
      new TensorType('float32', [8]),
    ]) as unknown as ExampleTypes
    const weights = {
      kernels: devicePut(kernels, new NamedSharding(mesh, P('expert', null, 'tensor'))),
      bias: devicePut(bias, new NamedSharding(mesh, P('tensor'))),
    }
    const divided = specialize(f, examples, { donate: [2] })
    let sum = np.zeros([8])
    let expected = np.zeros([8])
    for (const rows of [5, 2, 5]) {
      const x = variedArray([rows, 6], rows)
      const wanted = f({ kernels, bias }, x, expected)
      const [y, next] = divided(weights, x, sum)
      const numbers = await y.numbers()
      const right = await wanted[0].numbers()
      expect(numbers.length).toBe(right.length)
      numbers.forEach((n, i) => expect(n).toBeCloseTo(right[i], 5))
      expect(String((await y.sharding())?.spec)).toBe('P()')
      expected = wanted[1]
      sum = next
    }
    const last = await expected.numbers()
    ;(await sum.numbers()).forEach((n, i) => expect(n).toBeCloseTo(last[i], 4))
    const elsewhere = devicePut(bias, new NamedSharding(new Mesh({ tensor: 4 }), P('tensor')))
    await expect(divided({ ...weights, bias: elsewhere }, np.ones([2, 6]), np.zeros([8]))[0].numbers()).rejects.toThrow(
      'the weights are on two meshes, mesh(tensor=4) and mesh(expert=2, tensor=2): put them on one',
    )
  })
})
