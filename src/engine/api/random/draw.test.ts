import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import type { Engine } from '../../compile/engine.js'
import { nodeSessions } from '../../compile/onnx/node.js'
import { OnnxBackend } from '../../compile/onnx/backend.js'
import { hostFrom, toNumbers } from '../../../base/host-tensor.js'
import { referenceBackend } from '../../compile/reference/backend.js'
import { threefry2x32 } from '../../compile/reference/threefry.js'
import { setBackend } from '../engine.js'
import { jit } from '../jit.js'
import * as np from '../np.js'
import * as random from '../random.js'
import { keyFrom, positionWords } from './keys.js'
import type { Tensor } from '../tensor.js'

/** Each draw with a number that may be another one in each call. `steps` is how many numbers are tried. */
const draws: { name: string; steps?: number; draw: (k: Tensor, i: number) => Tensor }[] = [
  { name: 'foldIn of a number', steps: 300, draw: (k, i) => random.foldIn(k, i) },
  { name: 'foldIn of an array', steps: 300, draw: (k, i) => random.foldIn(k, np.array(i, 'int32')) },
  { name: 'randint', draw: (k, i) => random.randint(k, [5], -i, 5 + i * i) },
  { name: 'randint of uint32', draw: (k, i) => random.randint(k, [5], i, 2 ** 31 + 5 * i, 'uint32') },
  { name: 'bernoulli', draw: (k, i) => random.bernoulli(k, i / 12, [5]) },
  { name: 'uniform', draw: (k, i) => random.uniform(k, [5], { minval: -i, maxval: i + 1 }) },
  { name: 'uniform from an array on', draw: (k, i) => random.uniform(k, [2], { minval: np.array([-i, -1]) }) },
  { name: 'truncatedNormal', draw: (k, i) => random.truncatedNormal(k, -1 - i, i, [5]) },
  { name: 'categorical', draw: (k, i) => random.categorical(k, np.array([1, i, 3])) },
  { name: 'choice', draw: (k, i) => random.choice(k, np.array([i, 2, 3]), [4]) },
]

describe('a random draw is compiled once', () => {
  let engine: Engine
  beforeEach(() => {
    engine = setBackend(new OnnxBackend(nodeSessions(1)))
  })
  afterAll(() => {
    setBackend(referenceBackend)
  })

  it.each(draws)('for all numbers: $name', async ({ draw, steps = 12 }) => {
    const k = random.key(3)
    const draw0 = async (i: number): Promise<number[]> => draw(k, i).numbers()
    await draw0(1)
    const before = engine.numPrograms
    for (let i = 2; i < steps; i++) await draw0(i)
    expect(engine.numPrograms).toBe(before)
    // The number is used, and is a constant of a traced function.
    const last = await draw0(steps)
    expect(await jit((key: Tensor) => draw(key, steps))(k).numbers()).toEqual(last)
  })

  it('for each shape and dtype', async () => {
    const k = random.key(3)
    const before = engine.numPrograms
    const some = [
      ...[[2], [3], [2, 3], [3]].map(shape => random.bits(k, shape)),
      random.bits(k, 3, 'uint8'),
      random.bits(k, [3], 'uint8'),
    ]
    await Promise.all(some.map(x => x.numbers()))
    expect(engine.numPrograms - before).toBe(4)
  })

  it('for all 2^32 integers as well as for few', async () => {
    const all = random.randint(random.key(3), [8], -(2 ** 31), 2 ** 31)
    // The low word is the draw: a multiple of 2^32 adds nothing.
    const low = random.bits(random.splitKeys(random.key(3))[1], [8])
    expect((await all.numbers()).map(x => x + 2 ** 31)).toEqual((await low.numbers()).map(Number))
  })
})

const prefixes: { name: string; draw: (k: Tensor, size: number) => Tensor }[] = [
  { name: 'bits', draw: random.bits },
  { name: 'uniform', draw: random.uniform },
  { name: 'randint', draw: (k, size) => random.randint(k, size, -9, 100) },
  { name: 'bernoulli', draw: (k, size) => random.bernoulli(k, 0.3, size) },
  { name: 'normal', draw: random.normal },
  { name: 'truncatedNormal', draw: (k, size) => random.truncatedNormal(k, -2, 2, size) },
  { name: 'exponential', draw: random.exponential },
  { name: 'laplace', draw: random.laplace },
  { name: 'logistic', draw: random.logistic },
  { name: 'gumbel', draw: random.gumbel },
]

describe('an element is the same in a short and in a long draw', () => {
  afterAll(() => {
    setBackend(referenceBackend)
  })

  it.each(prefixes)('$name', async ({ name, draw }) => {
    setBackend(new OnnxBackend(nodeSessions(1)))
    const long = await draw(random.key(8), 9001).numbers()
    for (const size of [4, 255, 257, 4099])
      expect(await draw(random.key(8), size).numbers()).toEqual(long.slice(0, size))
    // ONNX Runtime computes fewer than four elements, and rounds logarithms in another way.
    const short = await draw(random.key(8), 3).numbers()
    setBackend(referenceBackend)
    const interpreted = await draw(random.key(8), 9001).numbers()
    const isNear = (x: number, y: number, within: number): boolean =>
      Math.abs(x - y) <= within * Math.max(1, Math.abs(y))
    expect(short.filter((x, i) => !isNear(x, long[i], 1e-6))).toEqual([])
    // The interpreter's erfInv is exact. The compiled one is JAX's, which loses digits next to 1 and -1.
    const within = name === 'normal' ? 1e-4 : 1e-6
    expect(long.filter((x, i) => !isNear(x, interpreted[i], within))).toEqual([])
  })
})

describe('a draw from a position on', () => {
  it.each([
    ['the interpreter', () => referenceBackend],
    ['ONNX Runtime', () => new OnnxBackend(nodeSessions(1))],
  ])('is that part of a longer draw, in %s', async (_, backend) => {
    setBackend(backend())
    const k = random.key(8)
    const long = await random.bits(k, [9001]).numbers()
    for (const position of [0, 1, 4097])
      expect(await random.bits(keyFrom(k, positionWords(position)), [50, 20]).numbers()).toEqual(
        long.slice(position, position + 1000),
      )
  })

  it.each([
    ['the interpreter', () => referenceBackend],
    ['ONNX Runtime', () => new OnnxBackend(nodeSessions(1))],
  ])('counts past 2^32 elements with 64 bits, as JAX does, in %s', async (_, backend) => {
    setBackend(backend())
    const k = random.key(8)
    const words = (values: readonly number[]) => hostFrom('uint32', [values.length], values)
    for (const position of [2 ** 32 - 500, 2 ** 32, 26_172_456_960]) {
      const positions = Array.from({ length: 1000 }, (_, i) => position + i)
      const [high, low] = [positions.map(p => Math.floor(p / 2 ** 32)), positions.map(p => p % 2 ** 32)]
      const [a, b] = threefry2x32(words(positions.map(() => 0)), words(positions.map(() => 8)), words(high), words(low))
      const drawn = await random.bits(keyFrom(k, positionWords(position)), [1000]).numbers()
      expect(drawn).toEqual(toNumbers(a).map((x, i) => (x ^ Number(b.data[i])) >>> 0))
    }
  })
})
