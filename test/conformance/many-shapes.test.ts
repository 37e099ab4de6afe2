import { afterAll, expect, it, vi } from 'vitest'
import { Lru } from '../../src/base/lru.js'
import { setBackend } from '../../src/engine/api/engine.js'
import { TensorType } from '../../src/engine/api/eval-shape.js'
import { jit } from '../../src/engine/api/jit.js'
import * as np from '../../src/engine/api/np.js'
import * as random from '../../src/engine/api/random.js'
import { specialize } from '../../src/engine/api/specialize.js'
import type { ExampleTypes } from '../../src/engine/api/specialize.js'
import type { Tensor } from '../../src/engine/api/tensor.js'
import { grad } from '../../src/engine/api/transforms.js'
import { OnnxBackend } from '../../src/engine/compile/onnx/backend.js'
import { nodeSessions } from '../../src/engine/compile/onnx/node.js'
import type { SessionFactory } from '../../src/engine/compile/onnx/session.js'

/**
 * A long-lived process meets ever new shapes and constants. Every cache of the engine is filled beyond its capacity
 * here: it drops entries, and what they hold is released.
 */

/** More shapes than any cache holds. */
const SHAPES = 270

/** The sessions of ONNX Runtime that are not released. */
let live = 0
const runtime = nodeSessions(1)
const counted: SessionFactory = {
  describe: () => runtime.describe(),
  create: async (...args) => {
    const session = await runtime.create(...args)
    live++
    return {
      run: (...tensors) => session.run(...tensors),
      release: () => {
        live--
        return session.release()
      },
    }
  },
}

/** The caches that were written to. */
const caches = new Set<Lru<unknown, unknown>>()
const { set } = Lru.prototype
vi.spyOn(Lru.prototype, 'set').mockImplementation(function (this: Lru<unknown, unknown>, key, value) {
  caches.add(this)
  set.call(this, key, value)
})
afterAll(() => vi.restoreAllMocks())

const engine = setBackend(new OnnxBackend(counted))
/** The engine's cache holds 256 programs (engine.ts). */
const PROGRAMS = 256

/** Calls `f` with 270 numbers. Returns the number of entries of each cache that was written to, the largest first. */
async function entriesAfter(f: (n: number) => Tensor): Promise<number[]> {
  caches.clear()
  for (let n = 1; n <= SHAPES; n++) await f(n).data()
  return Array.from(caches, cache => cache.size).sort((a, b) => b - a)
}

/** How many sessions live, once the releases that have begun are over. */
async function liveSessions(): Promise<number> {
  await new Promise(resolve => setTimeout(resolve, 10))
  return live
}

const examples: ExampleTypes = [
  [new TensorType('float32', [3])],
  [new TensorType('float32', [101])],
  [new TensorType('float32', [1009])],
]
const vector = (n: number): Tensor => np.ones([n])
const sumOfSquares = (x: Tensor): Tensor => np.sum(np.square(x))

it('bounds the programs and sessions of single operations, and of eager derivatives', async () => {
  expect(await entriesAfter(n => np.multiply(vector(n), 2))).toEqual([PROGRAMS])
  expect(await liveSessions()).toBe(PROGRAMS)
  expect(await entriesAfter(n => grad(sumOfSquares)(vector(n)))).toEqual([PROGRAMS])
  expect(await liveSessions()).toBe(PROGRAMS)
  expect(engine.numPrograms).toBe(PROGRAMS)
})

it('bounds the traces of a jitted function', async () => {
  const f = jit(sumOfSquares)
  expect(await entriesAfter(n => f(vector(n)))).toEqual([PROGRAMS, 128])
  const derivative = jit(grad(sumOfSquares))
  expect(await entriesAfter(n => derivative(vector(n)))).toEqual([PROGRAMS, 128])
  expect(await liveSessions()).toBe(PROGRAMS)
})

it('bounds the WebAssembly loops, whose code depends on constants but not on shapes', async () => {
  const update = jit((c: number, x: Tensor, y: Tensor) => np.subtract(x, np.multiply(y, c)), {
    static: [0],
    donate: [1],
  })
  expect(await entriesAfter(n => update(n, vector(8), vector(8)))).toEqual([PROGRAMS, 256, 128])
  const key = random.key(1)
  const noise = jit((c: number) => np.multiply(random.uniform(key, [8]), c), { static: [0] })
  expect(await entriesAfter(n => noise(n))).toEqual([PROGRAMS, 256, 128])
})

it('bounds the traces of a function that draws random numbers', async () => {
  const key = random.key(1)
  const entries = await entriesAfter(n => random.normal(key, [n]))
  expect(entries[0]).toBe(PROGRAMS)
  expect(entries.at(-1)).toBe(64)
})

it('bounds the sizes of a specialized function, whose sizes share a session', async () => {
  const f = specialize((w: Tensor, x: Tensor) => np.multiply(x, w), examples)
  const w = np.array(2)
  // Only the three examples are traced.
  expect(await entriesAfter(n => f(w, vector(n)))).toEqual([PROGRAMS, 256, 3])
  expect(await liveSessions()).toBe(PROGRAMS + 1)
  // Here sizes differ by a constant, so that each size has a session.
  const root = specialize((w: Tensor, x: Tensor) => np.multiply(np.multiply(x, w), Math.sqrt(x.shape[0])), examples)
  expect(await entriesAfter(n => root(w, vector(n)))).toEqual([PROGRAMS, 256, 8])
  expect(await liveSessions()).toBe(PROGRAMS + 1 + 256)
})
