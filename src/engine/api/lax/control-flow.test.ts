import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OnnxBackend } from '../../compile/onnx/backend.js'
import { nodeSessions } from '../../compile/onnx/node.js'
import { referenceBackend } from '../../compile/reference/backend.js'
import type { Tensor } from '../tensor.js'
import { setBackend } from '../engine.js'
import { jit } from '../jit.js'
import * as lax from '../lax.js'
import * as np from '../np.js'
import { grad, makeProgram } from '../transforms.js'

const vector = (): Tensor => np.array([1, 2, 3])
const int = (n: number): Tensor => np.array(n, 'int32')

describe.each(['interpreted', 'compiled'])('control flow, %s', backend => {
  beforeAll(async () => {
    setBackend(backend === 'compiled' ? new OnnxBackend(await nodeSessions()) : referenceBackend)
  })
  afterAll(() => {
    setBackend(referenceBackend)
  })

  it('scans with a carry, rows and stacked results, in trees', async () => {
    const f = (carry: { total: Tensor }, x: Tensor): [{ total: Tensor }, { before: Tensor; twice: Tensor }] => [
      { total: np.add(carry.total, x) },
      { before: carry.total, twice: np.multiply(x, 2) },
    ]
    const [last, ys] = lax.scan(f, { total: np.array(10) }, vector())
    expect(await last.total.item()).toBe(16)
    expect(await ys.before.numbers()).toEqual([10, 11, 13])
    expect(await ys.twice.numbers()).toEqual([2, 4, 6])
  })

  it('scans backwards, closes over arrays, and takes a length without rows', async () => {
    const scale = np.array(2)
    const f = (c: Tensor, x: Tensor): [Tensor, Tensor] => {
      const next = np.add(np.multiply(c, scale), x)
      return [next, next]
    }
    const [last, ys] = lax.scan(f, np.array(0), vector(), { reverse: true })
    expect(await last.item()).toBe(17) // ((3 * 2) + 2) * 2 + 1
    expect(await ys.numbers()).toEqual([17, 8, 3])
    const [power, none] = lax.scan((c: Tensor) => [np.multiply(c, scale), null], np.array(1), null, { length: 5 })
    expect(await power.item()).toBe(32)
    expect(none).toBe(null)
    expect(await jit((x: Tensor) => lax.scan(f, x, vector())[0])(np.array(1)).item()).toBe(19)
  })

  it('loops while a condition holds', async () => {
    const limit = np.array(100)
    const double = (x: Tensor): Tensor =>
      lax.whileLoop(
        v => np.less(v, limit),
        v => np.add(v, v),
        x,
      )
    expect(await double(np.array(3)).item()).toBe(192)
    expect(await jit(double)(np.array(200)).item()).toBe(200)
  })

  it('loops over a range, with bounds known while tracing or not', async () => {
    const sum = (low: number | Tensor, high: number | Tensor): Tensor =>
      lax.foriLoop(low, high, (i, total) => np.add(total, i), np.array(0))
    expect(await sum(2, 5).item()).toBe(9)
    expect(await sum(2, int(5)).item()).toBe(9)
    expect(await jit((n: Tensor) => sum(0, n))(int(4)).item()).toBe(6)
    expect(await sum(5, 2).item()).toBe(0)
    const primitives = (f: (n: Tensor) => Tensor): string[] => makeProgram(f)(int(3)).equations.map(e => e.primitive)
    expect(primitives(() => sum(0, 3))).toContain('scan')
    expect(primitives(n => sum(0, n))).toContain('while')
  })

  it('takes one of two branches, or of several', async () => {
    const shift = np.array(100)
    const f = jit((pred: Tensor, x: Tensor) =>
      lax.cond(
        pred,
        (v: Tensor) => np.add(v, shift),
        (v: Tensor) => np.negative(v),
        x,
      ),
    )
    expect(await f(np.array(true), vector()).numbers()).toEqual([101, 102, 103])
    expect(await f(np.array(false), vector()).numbers()).toEqual([-1, -2, -3])
    const pick = (i: number): Tensor =>
      lax.switchBranch(int(i), [(x: Tensor) => x, (x: Tensor) => np.square(x), () => shift], np.array(7))
    expect(await Promise.all([-1, 0, 1, 2, 9].map(i => pick(i).item()))).toEqual([7, 7, 49, 100, 100])
  })
})

describe('control flow', () => {
  it('says what is wrong', () => {
    const x = np.array(0)
    expect(() => lax.scan((c: Tensor, row: Tensor) => [np.add(c, row), null], x, np.ones([2, 3]))).toThrow(
      'scan: the state is f32[] before a step and f32[3] after it',
    )
    expect(() =>
      lax.scan((c: { n: Tensor }) => [{ n: np.astype(c.n, 'int32') }, null], { n: x }, null, { length: 2 }),
    ).toThrow('the state n is f32[] before a step and i32[] after it')
    expect(() => lax.scan((c: Tensor) => [c, null], x, null)).toThrow('give `length`')
    expect(() => lax.scan((c: Tensor) => [c, null], x, vector(), { length: 2 })).toThrow(
      '2 steps do not fit xs of f32[3]',
    )
    expect(() => lax.scan((c: Tensor) => [c, null], x, x)).toThrow('f32[], which has no rows')
    expect(() =>
      lax.whileLoop(
        v => v,
        v => v,
        x,
      ),
    ).toThrow('one bool scalar, not f32[]')
    expect(() =>
      lax.cond(
        vector(),
        (v: Tensor) => v,
        (v: Tensor) => v,
        x,
      ),
    ).toThrow('lax.cond: the predicate must be a scalar, not f32[3]')
    expect(() =>
      lax.cond(
        np.array(true),
        (v: Tensor) => v,
        () => np.zeros([2]),
        x,
      ),
    ).toThrow('lax.cond: onFalse returns f32[2] and onTrue f32[]')
    expect(() => lax.switchBranch(x, [(v: Tensor) => v], x)).toThrow(
      'lax.switchBranch: the index must be an integer scalar, not f32[]',
    )
    expect(() => lax.foriLoop(x, 3, (_, v) => v, x)).toThrow('lax.foriLoop: low must be an integer scalar, not f32[]')
  })
  it('takes bare numbers for predicates, indices, bounds and states', async () => {
    const pick = (pred: boolean | number): Tensor =>
      lax.cond(
        pred,
        () => np.array(1),
        () => np.array(2),
      )
    expect(await Promise.all([true, false, 1, 0, 0.5].map(p => pick(p).item()))).toEqual([1, 2, 1, 2, 1])
    const branches = [() => np.array(1), () => np.array(2)]
    expect(await Promise.all([-5, 0, 1, 9].map(i => lax.switchBranch(i, branches).item()))).toEqual([1, 1, 2, 2])
    const count = lax.foriLoop(int(2), 5, (_, n: Tensor) => np.add(n, 1), 0 as unknown as Tensor)
    expect(await count.item()).toBe(3)
    const halved = lax.whileLoop(
      (n: Tensor) => np.greater(n, 1),
      (n: Tensor) => np.divide(n, 2),
      8 as unknown as Tensor,
    )
    expect(await halved.item()).toBe(1)
    expect(
      await lax
        .cond(
          np.array(2),
          () => 1 as unknown as Tensor,
          () => 0 as unknown as Tensor,
        )
        .item(),
    ).toBe(1)
  })

  it('gives a bare number in the initial state the dtype that the body returns for it', () => {
    const x = np.array(2)
    const loop = (body: (n: Tensor) => Tensor, init: number): string[] => [
      `${lax.whileLoop((n: Tensor) => np.less(n, 3), body, init as unknown as Tensor)}`,
      `${lax.foriLoop(0, 3, (_, n: Tensor) => body(n), init as unknown as Tensor)}`,
      `${lax.scan((n: Tensor): [Tensor, null] => [body(n), null], init as unknown as Tensor, np.zeros(2))[0]}`,
    ]
    const all = (type: string): string[] => [type, type, type]
    expect(loop(n => np.add(n, 1), 0)).toEqual(all('i32[]'))
    expect(loop(() => 5 as unknown as Tensor, 0)).toEqual(all('i32[]'))
    expect(loop(n => np.add(n, 0.5), 0)).toEqual(all('f32[]'))
    expect(loop(() => 5.5 as unknown as Tensor, 0)).toEqual(all('f32[]'))
    expect(loop(n => np.add(n, x), 0)).toEqual(all('f32[]'))
    expect(loop(n => np.astype(np.add(n, 1), 'uint8'), 0)).toEqual(all('u8[]'))
    expect(loop(n => np.astype(np.add(n, 1), 'bfloat16'), 0.5)).toEqual(all('bf16[]'))
    expect(loop(n => np.add(n, 1), 2 ** 40)).toEqual(all('f32[]'))
    expect(loop(n => np.add(n, 1), 0.5)).toEqual(all('f32[]'))
    expect(() => loop(n => np.astype(n, 'int32'), 0.5)).toThrow('is f32[] before a step and i32[] after it')
    expect(() => loop(n => np.greater(n, 1), 0)).toThrow('is i32[] before a step and bool[] after it')
  })

  it('maps one row after the other', async () => {
    const f = ({ x }: { x: Tensor }): Tensor => np.sum(np.square(x))
    const rows = np.array([
      [1, 2],
      [3, 4],
    ])
    expect(await lax.map(f, { x: rows }).numbers()).toEqual([5, 25])
    expect(await grad((x: Tensor) => np.sum(lax.map(f, { x })))(rows).numbers()).toEqual([2, 4, 6, 8])
  })

  it.each([
    [
      'cond',
      () => lax.cond('yes' as unknown as boolean, vector, vector),
      'the predicate must be an array or a number, not the string "yes"',
    ],
    [
      'cond',
      () => lax.cond(null as unknown as boolean, vector, vector),
      'the predicate must be an array or a number, not null',
    ],
    [
      'cond',
      () => lax.cond(true, 3 as unknown as typeof vector, vector),
      'lax.cond, onTrue: the function must be a function, not 3',
    ],
    [
      'cond',
      () => lax.cond(true, vector, () => [vector()] as unknown as Tensor),
      'onFalse returns the structure [*] and onTrue *',
    ],
    ['switchBranch', () => lax.switchBranch(0, undefined as unknown as []), 'give a list of one branch or more'],
    ['switchBranch', () => lax.switchBranch(0.5, [vector]), 'the index: int32 cannot hold 0.5'],
    [
      'scan',
      () => lax.scan(undefined as unknown as (c: null, x: Tensor) => [null, null], null, vector()),
      'scan: the function must be a function, not undefined',
    ],
    [
      'scan',
      () => lax.scan((c: Tensor) => c as unknown as [Tensor, null], np.array(1), vector()),
      'must return [carry, y]',
    ],
    [
      'scan',
      () => lax.scan((c: Tensor) => [c, null] as [Tensor, null], np.array(1), null, { length: 1.5 }),
      'length must be a whole number',
    ],
    [
      'scan',
      () => lax.scan((c: Tensor) => [c, null] as [Tensor, null], 'a' as unknown as Tensor, vector()),
      'not the string "a"',
    ],
    [
      'map',
      () => lax.map({} as unknown as (x: Tensor) => Tensor, vector()),
      'map: the function must be a function, not a plain object',
    ],
    [
      'foriLoop',
      () => lax.foriLoop(0, 3, null as unknown as (i: Tensor, x: Tensor) => Tensor, vector()),
      'the body must be a function, not null',
    ],
  ])('names the argument that is wrong: %s', (_, call, message) => {
    expect(call).toThrow(expect.objectContaining({ name: 'ShapeError', message: expect.stringContaining(message) }))
  })
})
