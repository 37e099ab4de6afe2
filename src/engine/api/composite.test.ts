import { describe, expect, it } from 'vitest'
import type { Tensor } from './tensor.js'
import { composite, customJvp, customVjp } from './composite.js'
import { jit } from './jit.js'
import * as np from './np.js'
import { grad, jvp, makeProgram, vjp } from './transforms.js'
import { vmap } from './vmap.js'

const vector = (): Tensor => np.array([1, 2, 3])
const softplus = (x: Tensor): Tensor => np.log1p(np.exp(x))

describe('composite', () => {
  it('leaves a named equation, and computes what the function does', async () => {
    const f = composite('softplus', softplus)
    expect(makeProgram(f)(vector()).equations.map(e => e.primitive)).toEqual(['composite'])
    expect(await f(vector()).numbers()).toEqual(await softplus(vector()).numbers())
    expect(await grad((x: Tensor) => np.sum(f(x)))(vector()).numbers()).toEqual(
      await grad((x: Tensor) => np.sum(softplus(x)))(vector()).numbers(),
    )
  })

  it('traces the function once for each type, and the rule when it is differentiated', async () => {
    const calls: string[] = []
    const f = composite(
      'tripled',
      (x: Tensor) => {
        calls.push(`f ${x.shape}`)
        return np.multiply(x, 3)
      },
      {
        vjp: {
          forward: x => {
            calls.push(`forward ${x.shape}`)
            return [np.multiply(x, 3), null]
          },
          // A wrong derivative on purpose, which tells that the rule was used.
          backward: (_, ct) => [np.multiply(ct, 10)],
        },
      },
    )
    const twice = (x: Tensor): Tensor => np.sum(f(f(x)))
    expect(await jit(twice)(vector()).item()).toBe(54)
    expect(await f(vector()).numbers()).toEqual([3, 6, 9])
    expect(makeProgram(f)(vector()).toString()).toMatch(/composite\[name=tripled program=[^]* vjp=\.\.\.\]/)
    expect(calls).toEqual(['f 3'])
    for (const _ of [1, 2]) expect(await grad(twice)(vector()).numbers()).toEqual([100, 100, 100])
    expect(await grad((x: Tensor) => np.sum(vmap(f)(x)))(np.ones([2, 3])).numbers()).toEqual(new Array(6).fill(10))
    expect(calls).toEqual(['f 3', 'forward 3'])
    await f(np.ones([2])).data()
    expect(calls).toEqual(['f 3', 'forward 3', 'f 2'])
  })

  it('refuses a rule that closes over arrays where the function does not', () => {
    const tens = np.array([10, 10, 10])
    const f = composite('doubled', (x: Tensor) => np.multiply(x, 2), {
      vjp: { forward: x => [np.multiply(x, 2), null], backward: (_, ct) => [np.multiply(ct, tens)] },
    })
    expect(() => grad((x: Tensor) => np.sum(f(x)))(vector())).toThrow(
      'doubled: the rule of its derivative closes over f32[3]: pass it as an argument',
    )
  })

  it('takes trees and closed-over arrays', async () => {
    const scale = np.array(3)
    const f = composite('scaled', ({ a, b }: { a: Tensor; b: Tensor }) => ({ sum: np.multiply(np.add(a, b), scale) }))
    expect(await f({ a: vector(), b: vector() }).sum.numbers()).toEqual([6, 12, 18])
  })
})

describe('customVjp', () => {
  // A wrong derivative on purpose: 10 x instead of 2 x tells which rule was used.
  const square = customVjp(
    (x: Tensor) => np.square(x),
    x => [np.square(x), x],
    (x, ct) => [np.multiply(np.multiply(x, 10), ct)],
  )
  const loss = (x: Tensor): Tensor => np.sum(square(x))

  it('is used by reverse mode, under jit and nesting', async () => {
    expect(await grad(loss)(vector()).numbers()).toEqual([10, 20, 30])
    expect(await jit(grad(jit(loss)))(vector()).numbers()).toEqual([10, 20, 30])
    const twice = customVjp(
      (x: Tensor) => np.multiply(square(x), 2),
      x => [np.multiply(square(x), 2), x],
      (x, ct) => {
        const [, pullback] = vjp(square, x)
        return [pullback(ct)[0]]
      },
    )
    expect(await grad((x: Tensor) => np.sum(twice(x)))(vector()).numbers()).toEqual([10, 20, 30])
  })

  it('leaves forward mode to the function', async () => {
    expect(await jvp(square, [vector()], [np.ones([3])])[1].numbers()).toEqual([2, 4, 6])
  })

  it('has second derivatives: those of the backward pass', async () => {
    expect(await grad((x: Tensor) => np.sum(grad(loss)(x)))(vector()).numbers()).toEqual([10, 10, 10])
  })

  it('keeps the name of the value when the residuals are inputs and outputs', () => {
    const names = (f: (x: Tensor) => Tensor): string[] =>
      makeProgram(grad((x: Tensor) => np.sum(f(x))))(vector()).equations.flatMap(e =>
        e.primitive === 'composite' ? [(e.params as { name: string }).name] : [],
      )
    const slope = (y: Tensor, ct: Tensor): [Tensor] => [np.multiply(y, ct)]
    const exp = (x: Tensor): Tensor => np.exp(x)
    expect(
      names(
        composite('e', exp, {
          vjp: {
            forward: x => {
              const y = exp(x)
              return [y, y]
            },
            backward: slope,
          },
        }),
      ),
    ).toEqual(['e'])
    expect(names(composite('e', exp, { vjp: { forward: x => [exp(x), exp(np.add(x, 0))], backward: slope } }))).toEqual(
      ['e.forward'],
    )
  })

  it('passes a gradient where the function has none (straight through)', async () => {
    const round = customVjp(
      (x: Tensor) => np.round(x),
      x => [np.round(x), null],
      (_, ct) => [ct],
    )
    expect(await grad((x: Tensor) => np.sum(np.multiply(round(x), x)))(np.array([1.4, 2.6])).numbers()).toEqual(
      [1.4, 2.6].map((v, i) => Math.fround(v + [1, 3][i])),
    )
  })

  it('takes integers, trees and closed-over arrays', async () => {
    const scale = np.array(2)
    const pick = customVjp(
      ({ table }: { table: Tensor }, at: Tensor) => np.multiply(np.take(table, at), scale),
      ({ table }, at) => [np.multiply(np.take(table, at), scale), { table }],
      ({ table }, ct) => [{ table: np.multiply(np.broadcastTo(np.sum(ct), table.shape), scale) }, null],
    )
    const f = (table: Tensor): Tensor => np.sum(pick({ table }, np.array([0, 2], 'int32')))
    expect(await grad(f)(vector()).numbers()).toEqual([4, 4, 4])
    expect(await jit(grad(f))(vector()).numbers()).toEqual([4, 4, 4])
  })

  it('says what is wrong with a rule', () => {
    const bad = customVjp(
      (x: Tensor) => np.sum(x),
      x => [np.sum(x), null],
      (_, ct) => [ct],
    )
    expect(() => bad(vector())).toThrow('the cotangent of argument 0 must be f32[3], got f32[]')
    const closed = (y: Tensor): Tensor =>
      np.sum(
        customVjp(
          (x: Tensor) => np.multiply(x, y),
          x => [np.multiply(x, y), null],
          (_, ct) => [ct],
        )(vector()),
      )
    expect(() => grad(closed)(vector())).toThrow('pass it as an argument')
  })
})

describe('customJvp', () => {
  // Wrong derivatives on purpose (10 x and 7 n instead of 2 x and 1) tell that the rule was used.
  const scale = np.array(2)
  const f = customJvp(
    ({ x }: { x: Tensor }, n: Tensor) => ({ y: np.add(np.square(x), np.multiply(n, 0)), n }),
    ([{ x }, n], [{ x: dx }]) => [
      { y: np.square(x), n },
      { y: np.multiply(np.multiply(np.multiply(x, 5), dx), scale), n: np.zerosLike(n) },
    ],
  )
  const n = np.array(3, 'int32')
  const loss = (x: Tensor): Tensor => np.sum(f({ x }, n).y)

  it('is used in both modes, under jit, vmap and second derivatives', async () => {
    expect(await jvp(loss, [vector()], [np.ones([3])])[1].item()).toBe(60)
    expect(await grad(loss)(vector()).numbers()).toEqual([10, 20, 30])
    expect(await jit(grad(loss))(vector()).numbers()).toEqual([10, 20, 30])
    expect(await vmap(grad(loss))(vector()).numbers()).toEqual([10, 20, 30])
    expect(await grad((x: Tensor) => np.sum(vmap(loss)(x)))(vector()).numbers()).toEqual([10, 20, 30])
    expect(await grad((x: Tensor) => np.sum(grad(loss)(x)))(vector()).numbers()).toEqual([10, 10, 10])
    expect(await loss(vector()).item()).toBe(14)
  })

  it('says what is wrong with a rule', () => {
    const one = customJvp(
      (x: Tensor) => x,
      ([x]) => x as unknown as [Tensor, Tensor],
    )
    expect(() => one(vector())).toThrow('the rule must return [output, tangent], not f32[3]')
    const flat = customJvp(
      (x: Tensor) => x,
      ([x]) => [x, np.sum(x)],
    )
    expect(() => flat(vector())).toThrow("the rule's tangent must be f32[3], got f32[]")
    const closed = (y: Tensor): Tensor =>
      np.sum(
        customJvp(
          (x: Tensor) => np.multiply(x, y),
          ([x], [dx]) => [np.multiply(x, y), dx],
        )(vector()),
      )
    expect(() => grad(closed)(vector())).toThrow('pass it as an argument')
  })

  it.each<[string, (dx: Tensor) => Tensor]>([
    ['mul', dx => np.multiply(dx, dx)],
    ['sin', dx => np.sin(dx)],
    ['div', dx => np.divide(1, dx)],
  ])('names the function and customJvp if the rule is not linear: %s', (primitive, tangent) => {
    const cube = (x: Tensor): Tensor => np.multiply(np.square(x), x)
    const f = customJvp(cube, ([x], [dx]) => [cube(x), tangent(dx)])
    expect(() => grad((x: Tensor) => np.sum(f(x)))(vector())).toThrow(
      `customJvp: the rule of cube must be linear in the tangents, but it applies ${primitive} to them`,
    )
  })
})
