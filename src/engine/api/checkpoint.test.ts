import { describe, expect, it } from 'vitest'
import type { Program } from '../program/program.js'
import type { Array } from './array.js'
import { checkpoint } from './checkpoint.js'
import { ArrayType, evalShape } from './eval-shape.js'
import { jit } from './jit.js'
import * as np from './np.js'
import { grad, makeProgram, valueAndGrad } from './transforms.js'
import { vmap } from './vmap.js'

const vector = (): Array => np.array([0.5, -1, 2])

/** How often a primitive is applied, in programs within programs too. */
function count(program: Program, primitive: string): number {
  return program.equations.reduce((n, e) => {
    const inner = 'program' in e.params ? count(e.params.program, primitive) : 0
    return n + inner + (e.primitive === primitive ? 1 : 0)
  }, 0)
}

describe('checkpoint', () => {
  const layer = (x: Array): Array => np.sin(np.exp(np.sin(x)))
  const loss = (f: (x: Array) => Array) => (x: Array): Array => np.sum(f(f(x)))

  it('changes no gradient', async () => {
    const agree = async (actual: Array, expected: Array): Promise<void> => {
      const b = await expected.numbers()
      ;(await actual.numbers()).forEach((v, i) => expect(v).toBeCloseTo(b[i], 5))
    }
    const f = loss(checkpoint(layer))
    const expected = grad(loss(layer))(vector())
    await agree(grad(f)(vector()), expected)
    await agree(jit(grad(f))(vector()), expected)
    await agree(grad(loss(checkpoint(checkpoint(layer))))(vector()), expected)
    await agree(vmap(grad(f))(np.reshape(vector(), [1, 3])), expected)
    const second = (g: (x: Array) => Array): Array => grad((x: Array) => np.sum(np.square(grad(g)(x))))(vector())
    await agree(second(f), second(loss(layer)))
  })

  it('computes the function again, from inputs behind a barrier', () => {
    const plain = makeProgram(grad(loss(layer)))(vector())
    const again = makeProgram(grad(loss(checkpoint(layer))))(vector())
    expect([count(plain, 'exp'), count(plain, 'optimizationBarrier')]).toEqual([2, 0])
    expect([count(again, 'exp'), count(again, 'optimizationBarrier')]).toEqual([4, 2])
  })

  it('closes over parameters that are differentiated', async () => {
    const w = np.array(3)
    const f = (p: Array): Array => np.sum(checkpoint((x: Array) => np.multiply(np.square(x), p))(vector()))
    expect(await grad(f)(w).item()).toBe(5.25)
  })
})

describe('valueAndGrad', () => {
  it('hands further results through', async () => {
    const f = (x: Array): [Array, { doubled: Array; count: Array }] => [np.sum(np.square(x)), { doubled: np.multiply(x, 2), count: np.arange(2) }]
    const [[loss, { doubled, count: n }], gradient] = valueAndGrad(f, { hasAux: true })(vector())
    expect(await loss.item()).toBe(5.25)
    expect(await doubled.numbers()).toEqual([1, -2, 4])
    expect(await n.numbers()).toEqual([0, 1])
    expect(await gradient.numbers()).toEqual([1, -2, 4])
  })

  it('takes a list of arguments, in its order', async () => {
    const f = (x: Array, scale: Array, y: Array): Array => np.sum(np.multiply(np.multiply(x, y), scale))
    const [, [dy, dx]] = valueAndGrad(f, { argument: [2, 0] })(vector(), np.array(2), np.array([1, 2, 3]))
    expect(await dx.numbers()).toEqual([2, 4, 6])
    expect(await dy.numbers()).toEqual([1, -2, 4])
  })
})

describe('evalShape', () => {
  it('gives the types of the results, without data', () => {
    const f = (x: Array, { w }: { w: Array }): { y: Array; at: Array } => ({ y: np.matmul(x, w), at: np.argmax(x) })
    const types = evalShape(f)(new ArrayType('float32', [1_000_000, 1_000_000]), { w: new ArrayType('float32', [1_000_000, 3]) })
    expect(`${types.y} ${types.at}`).toBe('f32[1000000,3] i32[1000000]')
    expect(evalShape((x: Array) => np.sum(x))(vector()).shape).toEqual([])
  })
})
