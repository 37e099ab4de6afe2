import { describe, expect, it } from 'vitest'
import type { Program } from '../program/program.js'
import type { Tensor } from './tensor.js'
import { remat } from './remat.js'
import { TensorType, evalShape } from './eval-shape.js'
import { jit } from './jit.js'
import * as np from './np.js'
import { grad, makeProgram, valueAndGrad } from './transforms.js'
import { vmap } from './vmap.js'

const vector = (): Tensor => np.array([0.5, -1, 2])

/** How often a primitive is applied, in programs within programs too. */
function count(program: Program, primitive: string): number {
  return program.equations.reduce((n, e) => {
    const inner = 'program' in e.params ? count(e.params.program, primitive) : 0
    return n + inner + (e.primitive === primitive ? 1 : 0)
  }, 0)
}

describe('remat', () => {
  const layer = (x: Tensor): Tensor => np.sin(np.exp(np.sin(x)))
  const loss =
    (f: (x: Tensor) => Tensor) =>
    (x: Tensor): Tensor =>
      np.sum(f(f(x)))

  it('changes no gradient', async () => {
    const agree = async (actual: Tensor, expected: Tensor): Promise<void> => {
      const b = await expected.numbers()
      ;(await actual.numbers()).forEach((v, i) => expect(v).toBeCloseTo(b[i], 5))
    }
    const f = loss(remat(layer))
    const expected = grad(loss(layer))(vector())
    await agree(grad(f)(vector()), expected)
    await agree(jit(grad(f))(vector()), expected)
    await agree(grad(loss(remat(remat(layer))))(vector()), expected)
    await agree(vmap(grad(f))(np.reshape(vector(), [1, 3])), expected)
    const second = (g: (x: Tensor) => Tensor): Tensor => grad((x: Tensor) => np.sum(np.square(grad(g)(x))))(vector())
    await agree(second(f), second(loss(layer)))
  })

  it('computes the function again, from inputs behind a barrier', () => {
    const plain = makeProgram(grad(loss(layer)))(vector())
    const again = makeProgram(grad(loss(remat(layer))))(vector())
    expect([count(plain, 'exp'), count(plain, 'optimizationBarrier')]).toEqual([2, 0])
    expect([count(again, 'exp'), count(again, 'optimizationBarrier')]).toEqual([4, 2])
  })

  it('closes over parameters that are differentiated', async () => {
    const w = np.array(3)
    const f = (p: Tensor): Tensor => np.sum(remat((x: Tensor) => np.multiply(np.square(x), p))(vector()))
    expect(await grad(f)(w).item()).toBe(5.25)
  })
})

describe('valueAndGrad', () => {
  it('hands further results through', async () => {
    const f = (x: Tensor): [Tensor, { doubled: Tensor; count: Tensor }] => [
      np.sum(np.square(x)),
      { doubled: np.multiply(x, 2), count: np.arange(2) },
    ]
    const [[loss, { doubled, count: n }], gradient] = valueAndGrad(f, { hasAux: true })(vector())
    expect(await loss.item()).toBe(5.25)
    expect(await doubled.numbers()).toEqual([1, -2, 4])
    expect(await n.numbers()).toEqual([0, 1])
    expect(await gradient.numbers()).toEqual([1, -2, 4])
  })

  it('takes a list of arguments, in its order', async () => {
    const f = (x: Tensor, scale: Tensor, y: Tensor): Tensor => np.sum(np.multiply(np.multiply(x, y), scale))
    const [, [dy, dx]] = valueAndGrad(f, { argument: [2, 0] })(vector(), np.array(2), np.array([1, 2, 3]))
    expect(await dx.numbers()).toEqual([2, 4, 6])
    expect(await dy.numbers()).toEqual([1, -2, 4])
  })
})

describe('evalShape', () => {
  it('gives the types of the results, without data', () => {
    const f = (x: Tensor, { w }: { w: Tensor }): { y: Tensor; at: Tensor } => ({ y: np.matmul(x, w), at: np.argmax(x) })
    const types = evalShape(f)(new TensorType('float32', [1_000_000, 1_000_000]), {
      w: new TensorType('float32', [1_000_000, 3]),
    })
    expect(`${types.y} ${types.at}`).toBe('f32[1000000,3] i32[1000000]')
    expect(evalShape((x: Tensor) => np.sum(x))(vector()).shape).toEqual([])
  })
})

describe('a function with remat', () => {
  it('is computed again only when its cotangent is known, and before the backward pass goes on', async () => {
    const w = np.array([
      [0.5, 0.1],
      [0.2, 0.3],
    ])
    const layer = remat((x: Tensor) => np.tanh(np.matmul(x, w)))
    const stack = (x: Tensor): Tensor => np.sum(layer(layer(layer(x))))
    const x = np.array([[1, -2]])
    const program = makeProgram(grad(stack))(x)
    const isSliced = count(program, 'dynamicSlice')
    // Each call's operand waits for its cotangent, and the cotangent that it gives waits for nothing else here: w is
    // not differentiated.
    expect(isSliced).toBe(3)
    const both = makeProgram(
      grad((y: Tensor, v: Tensor) => np.sum(remat((z: Tensor) => np.matmul(z, v))(y)), { argument: [0, 1] }),
    )
    expect(count(both(x, w), 'dynamicSlice')).toBe(2)
    expect(await grad(stack)(x).numbers()).toEqual(
      (await grad((y: Tensor) => np.sum([0, 1, 2].reduce(z => np.tanh(np.matmul(z, w)), y)))(x).numbers()).map(v =>
        expect.closeTo(v, 6),
      ),
    )
  })
})
