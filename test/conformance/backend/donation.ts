import { expect, it } from 'vitest'
import { hostFrom, sizeOf } from '../../../src/base/host-tensor.js'
import type { HostTensor } from '../../../src/base/host-tensor.js'
import type { Backend } from '../../../src/engine/compile/backend.js'
import * as ops from '../../../src/engine/program/ops.js'
import type { Program } from '../../../src/engine/program/program.js'
import { traceClosed } from '../../../src/engine/program/trace.js'
import type { Value } from '../../../src/engine/program/value.js'
import { sample } from './case.js'
import { sameBits } from './compare.js'

interface DonationCase {
  name: string
  program: Program
  inputs: HostTensor[]
  donated: boolean[]
}

const large = (shape: number[], seed: number): HostTensor =>
  hostFrom(
    'float32',
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * 0.37 + seed)),
  )
const of = (name: string, inputs: HostTensor[], donated: boolean[], f: (xs: Value[]) => Value[]): DonationCase => ({
  name,
  inputs,
  donated,
  program: traceClosed(inputs, f),
})

/** Adam's update of one parameter and its moments. */
function adam(p: Value, m: Value, v: Value, g: Value): Value[] {
  const first = ops.add(ops.mul(m, 0.9), ops.mul(g, 0.1))
  const second = ops.add(ops.mul(v, 0.999), ops.mul(ops.mul(g, g), 0.001))
  return [ops.sub(p, ops.div(ops.mul(first, 0.01), ops.add(ops.sqrt(ops.abs(second)), 1e-8))), first, second]
}

const square = (): HostTensor[] => [0, 1, 2].map(seed => large([64, 64], seed))
const product = { contract: [[1], [0]], batch: [[], []] } as const

/** Programs that go wrong when a donated input is overwritten while it is still to be read. */
const donationCases: readonly DonationCase[] = [
  of('updates in place', square(), [true, true, false], ([a, b, c]) => [ops.add(a, c), ops.mul(b, c)]),
  of('operands that swap', square(), [true, true, false], ([a, b]) => [b, a]),
  of('swapped and updated', square(), [true, true, false], ([a, b, c]) => [ops.add(b, c), ops.add(a, c)]),
  of('read after its successor is made', square(), [true, false, false], ([a, b]) => {
    const next = ops.add(a, b)
    return [next, ops.reduceSum(ops.mul(a, next), [0])]
  }),
  of('read by an unrelated equation', square(), [true, false, false], ([a, b, c]) => [
    ops.add(a, b),
    ops.dotGeneral(a, c, product),
  ]),
  of('transposed onto itself', square(), [true, false, false], ([a, b]) => [ops.add(ops.transpose(a, [1, 0]), b)]),
  of('shifted onto itself', square(), [true, false, false], ([a]) => [
    ops.concatenate([ops.slice(a, [1, 0], [64, 64]), ops.slice(a, [0, 0], [1, 64])], 0),
  ]),
  of('multiplied onto itself', square(), [true, false, false], ([a]) => [ops.dotGeneral(a, a, product)]),
  of('two results of one input', square(), [true, false, false], ([a, b]) => [ops.add(a, b), ops.sub(a, b)]),
  of('returned unchanged, and updated', square(), [true, false, false], ([a, b]) => [a, ops.add(a, b)]),
  of('nothing fits', [large([64, 64], 0), sample('int32', [5])], [true, true], ([a, b]) => [
    ops.reduceSum(a, [0]),
    ops.convertElementType(b, 'int64'),
  ]),
  of('donated and not used', square(), [true, true, true], ([, , c]) => [ops.neg(c)]),
  of(
    'Adam behind a gradient',
    [large([64, 64], 0), large([64, 64], 1), large([64, 64], 2), large([32, 64], 3)],
    [true, true, true, false],
    ([p, m, v, x]) => {
      const y = ops.tanh(ops.dotGeneral(x, p, product))
      const g = ops.dotGeneral(x, y, { contract: [[0], [0]], batch: [[], []] })
      return [...adam(p, m, v, g), ops.reduceSum(ops.mul(y, y), [0, 1])]
    },
  ),
  of(
    'Adam with one rate of all gradients',
    [...square(), ...square()],
    [true, true, true, true, true, true],
    ([p, m, v, q, n, w]) => {
      const g = ops.dotGeneral(p, q, product)
      const norm = ops.broadcastInDim(
        ops.add(ops.reduceSum(ops.mul(g, g), [0, 1]), ops.reduceSum(ops.mul(q, p), [0, 1])),
        [64, 64],
        [],
      )
      const clipped = ops.div(g, norm)
      return [...adam(p, m, v, clipped), ...adam(q, n, w, ops.transpose(clipped, [1, 0]))]
    },
  ),
]

/**
 * With and without donation a program gives the same bits in each run, and does not change inputs that were not
 * donated.
 */
export function donation(backend: () => Backend, updatesInPlace: boolean): void {
  it.each(donationCases)('$name', async ({ program, inputs, donated }) => {
    const plain = await backend().compile(program)
    const giving = await backend().compile(program, donated)
    const fresh = (): HostTensor[] => inputs.map(t => ({ ...t, data: t.data.slice() }))
    for (let round = 0; round < 2; round++) {
      const kept = fresh()
      const [expected, actual] = [
        await plain.run(fresh().map(t => backend().put(t))),
        await giving.run(kept.map(t => backend().put(t))),
      ]
      for (let i = 0; i < expected.length; i++) {
        expect(sameBits(await actual[i].read(), await expected[i].read()), `round ${round}, output ${i}`).toBe(true)
      }
      kept.forEach((t, i) => {
        if (!donated[i]) expect(sameBits(t, inputs[i]), `input ${i} is left alone`).toBe(true)
      })
    }
  })

  it('keeps a loop of donated state going', async () => {
    const { program, inputs, donated } = donationCases.find(c => c.name === 'Adam behind a gradient')!
    const [plain, giving] = [await backend().compile(program), await backend().compile(program, donated)]
    if (updatesInPlace) expect(giving.stats.inPlaceBytes, 'bytes updated in place').toBe(3 * 64 * 64 * 4)
    const x = inputs[3]
    let [a, b] = [
      inputs.slice(0, 3).map(t => backend().put(t)),
      inputs.slice(0, 3).map(t => backend().put({ ...t, data: t.data.slice() })),
    ]
    for (let i = 0; i < 5; i++) {
      a = (await plain.run([...a, backend().put(x)])).slice(0, 3)
      b = (await giving.run([...b, backend().put(x)])).slice(0, 3)
    }
    for (let i = 0; i < 3; i++)
      expect(sameBits(await b[i].read(), await a[i].read()), `state ${i} after 5 steps`).toBe(true)
  })
}
