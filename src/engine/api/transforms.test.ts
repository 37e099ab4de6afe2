import { describe, expect, it } from 'vitest'
import type { Tensor } from './tensor.js'
import * as np from './np.js'
import { jit } from './jit.js'
import { grad, jvp, linearize, makeProgram, valueAndGrad, vjp } from './transforms.js'

const vector = (): Tensor => np.array([1, 2, 3])

describe('transformations', () => {
  it('prints programs', () => {
    expect(makeProgram((x: Tensor) => np.sum(np.multiply(np.sin(x), 2)))(vector()).toString()).toMatchInlineSnapshot(`
      "{ lambda a:f32[3] ; let
          b:f32[3] = sin a
          c:f32[3] = broadcastInDim[shape=(3) dims=()] 2:f32[]
          d:f32[3] = mul b c
          e:f32[] = reduceSum[axes=(0)] d
        in (e) }"
    `)
  })

  it('differentiates to any order: x^3, 3x^2, 6x, 6', async () => {
    const cube = (x: Tensor): Tensor => np.multiply(x, np.multiply(x, x))
    const x = np.array(2)
    expect(await cube(x).item()).toBe(8)
    expect(await grad(cube)(x).item()).toBe(12)
    expect(await grad(grad(cube))(x).item()).toBe(12)
    expect(await grad(grad(grad(cube)))(x).item()).toBe(6)
  })

  it('passes through jit in either order', async () => {
    const f = (x: Tensor): Tensor => np.sum(np.multiply(np.sin(x), np.exp(x)))
    const expected = await grad(f)(vector()).numbers()
    expect(await jit(grad(f))(vector()).numbers()).toEqual(expected)
    expect(await grad(jit(f))(vector()).numbers()).toEqual(expected)
    expect(await jit(grad(jit(f)))(vector()).numbers()).toEqual(expected)
  })

  it('differentiates trees, one argument at a time', async () => {
    const loss = (p: { w: Tensor; b: Tensor }, x: Tensor): Tensor => np.sum(np.square(np.add(np.matmul(p.w, x), p.b)))
    const params = {
      w: np.array([
        [1, 2],
        [3, 4],
      ]),
      b: np.array([1, -1]),
    }
    const x = np.array([1, -1])
    const [value, g] = valueAndGrad(loss)(params, x)
    expect(await value.item()).toBe(4) // (1 - 2 + 1)^2 + (3 - 4 - 1)^2
    expect(await g.b.numbers()).toEqual([0, -4])
    expect(await g.w.numbers()).toEqual([0, 0, -4, 4])
    expect(await grad(loss, { argument: 1 })(params, x).numbers()).toEqual([-12, -16])
  })

  it('closes over arrays and over tracers of an outer function', async () => {
    const y = np.array(3)
    const f = (x: Tensor): Tensor => grad((z: Tensor) => np.multiply(np.multiply(z, x), y))(x)
    expect(await f(np.array(2)).item()).toBe(6)
    expect(await grad(f)(np.array(2)).item()).toBe(3)
    expect(await jit(grad(f))(np.array(2)).item()).toBe(3)
  })

  it('has jvp and vjp', async () => {
    const f = (x: Tensor): Tensor => np.square(x)
    const [y, dy] = jvp(f, [vector()], [np.array([1, 0, 2])])
    expect(await y.numbers()).toEqual([1, 4, 9])
    expect(await dy.numbers()).toEqual([2, 0, 12])
    const [, pullback] = vjp(f, vector())
    expect(await pullback(np.ones([3]))[0].numbers()).toEqual([2, 4, 6])
  })

  it('differentiates auxiliary results in an outer derivative, not in the inner one', async () => {
    const inner = (x: Tensor): [Tensor, { cube: Tensor }] => [np.square(x), { cube: np.multiply(x, np.square(x)) }]
    const x = np.array(2)
    const [[value, aux], gradient] = valueAndGrad(inner, { hasAux: true })(x)
    expect(await value.item()).toBe(4)
    expect(await aux.cube.item()).toBe(8)
    expect(await gradient.item()).toBe(4)
    const cubeOf = (y: Tensor): Tensor => valueAndGrad(inner, { hasAux: true })(y)[0][1].cube
    expect(await grad(cubeOf)(x).item()).toBe(12)
    expect(await jvp(cubeOf, [x], [np.array(1)])[1].item()).toBe(12)
    expect(await grad(jit(cubeOf))(x).item()).toBe(12)
    // Nothing is kept for the derivative of auxiliary results.
    const program = makeProgram((y: Tensor) => grad(inner, { hasAux: true })(y))(x)
    expect(program.equations.filter(e => e.primitive === 'mul').length).toBeLessThanOrEqual(5)
  })

  it('takes auxiliary results in grad, jvp, vjp and linearize', async () => {
    const f = (x: Tensor): [Tensor, Tensor] => [np.sin(x), np.astype(x, 'int32')]
    const [g, n] = grad(f, { hasAux: true })(np.array(0))
    expect(await g.item()).toBe(1)
    expect(n.dtype).toBe('int32')
    const [y, dy, aux] = jvp(f, [np.array(0)], [np.array(3)], { hasAux: true })
    expect([await y.item(), await dy.item(), await aux.item()]).toEqual([0, 3, 0])
    const [value, pullback, more] = vjp(f, np.array(0), { hasAux: true })
    expect([await value.item(), await pullback(np.array(3))[0].item(), await more.item()]).toEqual([0, 3, 0])
    const [, pushforward, rest] = linearize(f, np.array(0), { hasAux: true })
    expect([await pushforward(np.array(5)).item(), await rest.item()]).toEqual([5, 0])
    expect(() => grad((x: Tensor) => x as unknown as [Tensor, Tensor], { hasAux: true })(np.array(0))).toThrow(
      'must return [value, auxiliary results]',
    )
  })

  it('linearizes: the derivative is applied to any number of tangents', async () => {
    const f = (p: { w: Tensor }, n: Tensor): [Tensor, Tensor] => [np.multiply(np.exp(p.w), n), n]
    const [[y], forward] = linearize(f, { w: np.array([0, 1]) }, np.array(2, 'int32'))
    expect((await y.numbers())[0]).toBe(2)
    for (const t of [1, 2]) {
      const [dy, dn] = forward({ w: np.array([t, 0]) }, np.array(0, 'int32'))
      expect(await dy.numbers()).toEqual([2 * t, 0])
      expect(dn.dtype).toBe('int32')
    }
    const second = grad((x: Tensor) => linearize((z: Tensor) => np.multiply(z, np.square(z)), x)[1](np.array(1)))
    expect(await second(np.array(2)).item()).toBe(12)
  })

  it('shares gradients at ties, and has second derivatives through where, max and reductions', async () => {
    const second = (f: (x: Tensor) => Tensor) => grad((x: Tensor) => np.sum(grad((y: Tensor) => np.sum(f(y)))(x)))
    expect(await grad((x: Tensor) => np.max(x))(np.array([1, 2, 2])).numbers()).toEqual([0, 0.5, 0.5])
    expect(await grad((x: Tensor) => np.sum(np.maximum(x, 2)))(vector()).numbers()).toEqual([0, 0.5, 1])
    const square = (x: Tensor): Tensor => np.square(x)
    expect(
      await second(x => np.where(np.greater(x, 2), np.multiply(square(x), x), square(x)))(vector()).numbers(),
    ).toEqual([2, 2, 18])
    expect(await second(x => square(np.maximum(x, 2)))(vector()).numbers()).toEqual([0, 0.5, 2])
    expect(await second(x => square(np.max(x)))(vector()).numbers()).toEqual([0, 0, 2])
  })

  it('finds x^0 flat, also at 0', async () => {
    expect(await grad((x: Tensor) => np.power(x, 0))(np.array(0)).item()).toBe(0)
    expect(await grad((x: Tensor) => np.power(x, 1))(np.array(0)).item()).toBe(1)
  })

  it('tells static values apart', async () => {
    const f = jit((x: Tensor, a: string, b: string) => np.multiply(x, a.length * 100 + b.length), { static: [1, 2] })
    expect(await f(np.array(1), 'a string:b', 'c').item()).toBe(1001)
    expect(await f(np.array(1), 'a', 'b string:c').item()).toBe(110)
    const inverse = jit((x: Tensor, y: number) => np.multiply(x, 1 / y), { static: [1] })
    expect(await inverse(np.array(1), 0).item()).toBe(Infinity)
    expect(await inverse(np.array(1), -0).item()).toBe(-Infinity)
  })

  it('traces a jitted function once a type', () => {
    let traces = 0
    const f = jit((x: Tensor) => {
      traces++
      return np.add(x, 1)
    })
    f(vector())
    f(vector())
    f(np.array([1, 2]))
    expect(traces).toBe(2)
  })

  it('takes bare numbers as arguments and results', async () => {
    const square = (x: Tensor): Tensor => np.square(x)
    expect(await grad(square)(3 as unknown as Tensor).item()).toBe(6)
    expect(await jit(square)(3 as unknown as Tensor).item()).toBe(9)
    const [a, b] = jit((x: Tensor) => [x, 2] as unknown as [Tensor, Tensor])(np.array(1))
    expect([await a.item(), await b.item()]).toEqual([1, 2])
  })

  it('reports reads of data in a traced function at its call', async () => {
    const unhandled: unknown[] = []
    const listen = (reason: unknown): void => void unhandled.push(reason)
    process.on('unhandledRejection', listen)
    const helper = async (x: Tensor): Promise<void> => {
      await x.item()
    }
    const reads: ((x: Tensor) => unknown)[] = [
      x => (void x.data(), x),
      x => (void x.numbers(), x),
      x => (void x.item(), x),
      x => (void helper(x), x),
      x => np.multiply(x, x.item() as unknown as number),
      async x => np.multiply(x, await x.item()),
    ]
    for (const read of reads)
      for (const transform of [jit, (f: (x: Tensor) => Tensor) => grad(f)])
        expect(() => transform(read as (x: Tensor) => Tensor)(np.array(2))).toThrow('has no data yet')
    const donated = vector()
    jit((x: Tensor) => np.add(x, 1), { donate: [0] })(donated)
    const failing: [() => unknown, string][] = [
      [() => donated.data(), 'was donated'],
      [() => donated.numbers(), 'was donated'],
      [() => vector().item(), 'item() needs an array of one element'],
    ]
    for (const [read, message] of failing)
      expect(() => jit((x: Tensor) => (void read(), x))(np.array(2))).toThrow(message)
    const slow = async (x: Tensor): Promise<Tensor> => {
      await Promise.resolve()
      return np.add(x, 1)
    }
    expect(() => jit(slow as unknown as (x: Tensor) => Tensor)(np.array(2))).toThrow('must not be async')
    // Node reports rejections once no microtask is left, which is before the next immediate.
    await new Promise(resolve => setImmediate(resolve))
    process.off('unhandledRejection', listen)
    expect(unhandled).toEqual([])
  })

  it('says what a leaked tracer is', () => {
    let leaked: Tensor | undefined
    const trace = (): Tensor =>
      jit(function loss(x: Tensor) {
        leaked = np.sin(x)
        return x
      })(vector())
    trace()
    for (const use of [
      () => np.add(leaked!, 1),
      () => jit((x: Tensor) => x)(leaked!),
      () => grad((x: Tensor) => np.sum(x))(leaked!),
    ])
      expect(use).toThrow(
        expect.objectContaining({
          name: 'SwitchyardError',
          message: expect.stringContaining('f32[3], the result of sin in the traced function loss, was used after'),
        }),
      )
  })

  it('names what is no array and no function', () => {
    expect(() => grad(3 as unknown as () => Tensor)()).toThrow('grad: the function must be a function, not 3')
    expect(() => jit((x: Tensor) => x)('a' as unknown as Tensor)).toThrow('not the string "a" (argument 0)')
    expect(() => jit(() => ({ y: 'b' }) as unknown as Tensor)()).toThrow(
      'must return arrays, not the string "b" (at y)',
    )
    expect(JSON.stringify({ x: vector() })).toBe('{"x":{"dtype":"float32","shape":[3]}}')
  })

  it('says what is wrong', async () => {
    expect(() => np.add(np.ones([2]), np.ones([3]))).toThrow('the shapes [2] and [3] do not broadcast together')
    expect(() => grad((x: Tensor) => x)(vector())).toThrow('returns one floating-point scalar, not f32[3]')
    expect(() => np.reshape(vector(), [2, 2])).toThrow('reshape(f32[3]): cannot reshape 3 elements to [2,2]')
    let leaked: Tensor | undefined
    jit((x: Tensor) => {
      leaked = x
      return x
    })(vector())
    await expect(leaked!.data()).rejects.toThrow('was used after its function had returned')
    expect(() => jit((x: Tensor) => np.add(x, leaked!))(vector())).toThrow('used after its function had returned')
  })
})

describe('np', () => {
  it('broadcasts and converts as NumPy and JAX do', async () => {
    expect(await np.add(np.array([[1], [2]]), np.array([10, 20])).numbers()).toEqual([11, 21, 12, 22])
    expect(np.add(np.arange(3), 1).dtype).toBe('int32')
    expect(np.add(np.arange(3), 0.5).dtype).toBe('float32')
    expect(np.divide(np.arange(3), 2).dtype).toBe('float32')
    expect(np.array([true, false]).dtype).toBe('bool')
    expect(() => np.array([[1, 2], [3]])).toThrow('ragged')
  })

  it('multiplies matrices and batches of them', async () => {
    expect(
      await np
        .matmul(
          np.array([
            [1, 2],
            [3, 4],
          ]),
          np.array([[5], [6]]),
        )
        .numbers(),
    ).toEqual([17, 39])
    const batched = np.matmul(np.ones([5, 1, 2, 3]), np.ones([4, 3, 2]))
    expect(batched.shape).toEqual([5, 4, 2, 2])
    expect(await np.matmul(np.array([1, 2]), np.array([3, 4])).item()).toBe(11)
  })

  it('reduces, selects and takes', async () => {
    const x = np.array([
      [1, 5, 3],
      [4, 2, 6],
    ])
    expect(await np.mean(x, { axis: -1 }).numbers()).toEqual([3, 4])
    expect(np.sum(x, { axis: 0, keepdims: true }).shape).toEqual([1, 3])
    expect(await np.argmax(x).numbers()).toEqual([1, 2])
    expect(await np.where(np.greater(x, 3), x, 0).numbers()).toEqual([0, 5, 0, 4, 0, 6])
    expect(await np.take(x, np.array([2, 0], 'int32'), 1).numbers()).toEqual([3, 1, 6, 4])
    expect(await np.cumsum(x, 0).numbers()).toEqual([1, 5, 3, 5, 7, 9])
    expect(await np.transpose(x).numbers()).toEqual([1, 4, 5, 2, 3, 6])
  })
})
