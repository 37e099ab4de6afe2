import { describe, expect, it } from 'vitest'
import { hostFrom, toNumbers } from '../../base/host-tensor.js'
import * as random from '../api/random.js'
import * as np from '../api/np.js'
import { setBackend } from '../api/engine.js'
import { jit } from '../api/jit.js'
import { Tensor } from '../api/tensor.js'
import { aval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import { traceClosed } from '../program/trace.js'
import { simplify } from '../transform/simplify.js'
import { cutGenerated } from './generated.js'
import type { Generated } from './generated.js'
import { nodeSessions } from './onnx/node.js'
import { OnnxBackend } from './onnx/backend.js'
import { referenceBackend } from './reference/backend.js'
import { interpret } from './reference/interpret.js'
import { generatorLimits } from './wasm/generator-code.js'

/** A function of a key and an array [1000] as a program, cut. */
const cut = (f: (key: Tensor, x: Tensor) => Tensor[], limits = generatorLimits): Generated =>
  cutGenerated(
    simplify(
      traceClosed([aval('uint32', [2]), aval('float32', [1000])], ([key, x]) =>
        f(new Tensor(key), new Tensor(x)).map(t => t.value),
      ),
    ),
    limits,
  )
const primitivesOf = ({ rest }: Generated): string => rest.equations.map(e => e.primitive).join(' ')

describe('cutGenerated', () => {
  it('takes a draw out of a program, and leaves what reads another array', () => {
    const { seeds, loops, rest } = cut((key, x) => [np.add(random.uniform(key, 1000), x)])
    expect(String(rest)).toMatchInlineSnapshot(`
      "{ lambda a:u32[2] b:f32[1000] c:f32[1000] ; let
          d:f32[1000] = add c b
        in (d) }"
    `)
    expect(String(seeds)).toMatchInlineSnapshot(`
      "{ lambda a:u32[2] b:f32[1000] ; let
          c:u32[1] = slice[start=(0) limit=(1) strides=(1)] a
          d:u32[] = reshape[shape=()] c
          e:u32[1] = slice[start=(1) limit=(2) strides=(1)] a
          f:u32[] = reshape[shape=()] e
        in (d, f) }"
    `)
    expect(loops.map(String)).toMatchInlineSnapshot(`
      [
        "{ lambda a:u32[] b:u32[] ; let
          c:u32[1000] = iota[dtype=uint32 shape=(1000) axis=0]
          d:u32[1000] = broadcastInDim[shape=(1000) dims=()] 0:u32[]
          e:u32[1000] = broadcastInDim[shape=(1000) dims=()] a
          f:u32[1000] = broadcastInDim[shape=(1000) dims=()] b
          g:u32[1000] h:u32[1000] = threefry2x32 e f d c
          i:u32[1000] = xor g h
          j:u32[1000] = broadcastInDim[shape=(1000) dims=()] 9:u32[]
          k:u32[1000] = shiftRightLogical i j
          l:u32[1000] = broadcastInDim[shape=(1000) dims=()] 1065353216:u32[]
          m:u32[1000] = or k l
          n:f32[1000] = bitcastConvertType[dtype=float32] m
          o:f32[1000] = broadcastInDim[shape=(1000) dims=()] 1:f32[]
          p:f32[1000] = sub n o
        in (p) }",
      ]
    `)
  })

  it('computes keys on the way: splits, folds', () => {
    const generated = cut(key => random.splitKeys(random.foldIn(key, 3), 3).map(k => random.normal(k, [10, 100])))
    expect(generated.loops).toHaveLength(3)
    expect(primitivesOf(generated)).toBe('')
    const key = hostFrom('uint32', [2], [1, 2])
    expect(interpret(generated.seeds, [key, hostFrom('float32', [1000], new Float32Array(1000))])).toHaveLength(6)
  })

  it('makes one loop of all that hangs on the same bits', () => {
    const { loops } = cut(key => {
      const u = random.uniform(key, 1000)
      return [u, np.less(u, 0.5), np.log(u)]
    })
    expect(loops).toHaveLength(1)
    expect(loops[0].outputs).toHaveLength(3)
  })

  it('leaves alone small draws, positions without random bits, and loops that are too large', () => {
    expect(cut(key => [random.uniform(key, 3)]).loops).toEqual([])
    expect(cut((_, x) => [np.add(np.arange(1000), x)]).loops).toEqual([])
    const several = (key: Tensor): Tensor[] => {
      const u = random.uniform(key, 1000)
      return [1, 2, 3].map(i => np.multiply(u, i))
    }
    expect(cut(several, { ...generatorLimits, maxOutputs: 2 }).loops).toEqual([])
    expect(cut(several, { ...generatorLimits, maxEquations: 10 }).loops).toEqual([])
  })

  it('leaves alone draws with keys that come from large computations', () => {
    const { loops } = cut((_, x) => {
      const word = ops.convertElementType(ops.reduceSum(np.broadcastTo(x, [10, 1000]).value, [0, 1]), 'uint32')
      return [random.uniform(np.stack([new Tensor(word), new Tensor(word)]), 1000)]
    })
    expect(loops).toEqual([])
  })
})

it('a compiled program returns, reads and donates generated arrays as any others', async () => {
  const f = (key: Tensor, x: Tensor): Tensor[] => {
    const noise = random.normal(key, 1000)
    return [noise, np.add(x, noise), np.sum(noise), noise]
  }
  const run = async (donate: number[]): Promise<number[][]> => {
    const results = jit(f, { donate })(random.key(5), np.ones([1000]))
    // A later program may take the memory of a generated array that is given to it.
    const doubled = jit((x: Tensor) => np.add(x, x), { donate: [0] })(results[3])
    return Promise.all([...results.slice(0, 3), doubled].map(x => x.numbers()))
  }
  setBackend(referenceBackend)
  const expected = await run([])
  setBackend(new OnnxBackend(nodeSessions(1)))
  for (const results of [await run([]), await run([1])])
    results.forEach((row, i) =>
      row.forEach((v, n) => expect(Math.abs(v - expected[i][n])).toBeLessThan(1e-5 * Math.max(1, Math.abs(v)))),
    )
  setBackend(referenceBackend)
})

it('a program that is nothing but a draw runs without ONNX Runtime', async () => {
  const program = traceClosed([aval('uint32', [2])], ([key]) => [random.bits(new Tensor(key), 1000).value])
  const key = hostFrom('uint32', [2], [0, 1])
  const backend = new OnnxBackend({
    describe: async () => 'none',
    create: () => Promise.reject(new Error('a session was made')),
  })
  const executable = await backend.compile(program)
  expect(executable.stats).toMatchObject({ nodes: 0, generators: 1 })
  const [bits] = await executable.run([backend.put(key)])
  expect(toNumbers(await bits.read())).toEqual(toNumbers(interpret(program, [key])[0]))
})
