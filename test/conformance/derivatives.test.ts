import { describe, expect, it } from 'vitest'
import { hostFrom } from '../../src/base/host-tensor.js'
import { interpret } from '../../src/engine/compile/reference/interpret.js'
import { aval } from '../../src/engine/program/aval.js'
import type { Aval } from '../../src/engine/program/aval.js'
import * as ops from '../../src/engine/program/ops.js'
import { Program } from '../../src/engine/program/program.js'
import { bind, traceClosed } from '../../src/engine/program/trace.js'
import type { Value } from '../../src/engine/program/value.js'
import { jvpEval } from '../../src/engine/transform/jvp.js'
import { linearize, vjpEval } from '../../src/engine/transform/linearize.js'

interface Case {
  name: string
  shapes: number[][]
  f: (...xs: Value[]) => Value
  positive?: boolean
}

const index = (values: number[], columns = 1): Value =>
  ops.reshape(
    ops.concatenate(
      values.map(v => ops.full([1], v, 'int32')),
      0,
    ),
    [values.length / columns, columns],
  )
const start = (...values: number[]): Value[] => values.map(v => ops.full([], v, 'int32'))
const none = { batchDims: 0, mode: 'clip' } as const

const unary = (name: string, f: (x: Value) => Value, positive = false): Case => ({
  name,
  shapes: [[2, 3]],
  f,
  positive,
})
const binary = (name: string, f: (x: Value, y: Value) => Value, positive = false): Case => ({
  name,
  shapes: [
    [2, 3],
    [2, 3],
  ],
  f,
  positive,
})

const f32 = (...shape: number[]): Aval => aval('float32', shape)
const spread = (x: Value, shape: number[]): Value => ops.broadcastInDim(x, shape, [])

/** (w, [h], i; x) -> h' = tanh(w h + x), and h h'; with an integer carry, which has no tangent. */
const cell = traceClosed([f32(), f32(2), aval('int32', []), f32(2)], ([w, h, i, x]) => {
  const next = ops.tanh(
    ops.add(ops.mul(spread(w, [2]), h), ops.mul(x, ops.convertElementType(spread(ops.add(i, 1), [2]), 'float32'))),
  )
  return [next, ops.add(i, 1), ops.mul(h, next)]
})
const scan =
  (reverse: boolean) =>
  (w: Value, h: Value, xs: Value): Value => {
    const [last, , ys] = bind('scan', [w, h, ops.full([], 0, 'int32'), xs], {
      body: cell,
      numConsts: 1,
      numCarry: 2,
      length: 3,
      reverse,
    })
    return ops.concatenate([ys, ops.reshape(last, [1, 2])], 0)
  }
/** A carry that has no tangent at first, and gets one from another carry two steps later. */
const chain = traceClosed([f32(), f32(), f32(), f32()], ([a, b, c, x]) => [
  ops.mul(b, ops.sin(c)),
  ops.mul(c, x),
  ops.add(c, x),
  a,
])
const inner = traceClosed([f32(2), f32(2)], ([h, x]) => [ops.sin(ops.mul(h, x)), ops.cos(h)])
const nested = traceClosed([f32(2), f32(3, 2)], ([h, xs]) => {
  const [last, ys] = bind('scan', [h, xs], { body: inner, numConsts: 0, numCarry: 1, length: 3, reverse: true })
  return [ops.add(last, ops.reduceSum(ys, [0]))]
})
const branches = [
  traceClosed([f32(2), f32(2)], ([x, y]) => [ops.mul(ops.sin(x), y)]),
  traceClosed([f32(2), f32(2)], ([, y]) => [ops.exp(y)]),
  traceClosed([f32(2), f32(2)], () => [ops.full([2], 3, 'float32')]),
]
const choose =
  (i: number) =>
  (x: Value, y: Value): Value =>
    bind('cond', [ops.full([], i, 'int32'), ops.mul(x, x), y], { branches })[0]
const product = traceClosed([f32(2), f32(2)], ([x, y]) => [ops.mul(ops.sin(x), ops.exp(y))])
const slope = traceClosed([f32(2), f32(2), f32(2)], ([x, y, ct]) => [
  ops.mul(ops.mul(ops.cos(x), ops.exp(y)), ct),
  ops.mul(ops.mul(ops.sin(x), ops.exp(y)), ct),
])
const keepInputs = new Program(product.inputs, product.equations, [...product.outputs, ...product.inputs])

const cases: Case[] = [
  unary('neg', ops.neg),
  unary('abs', ops.abs),
  unary('exp', ops.exp),
  unary('expm1', ops.expm1),
  unary('log', ops.log, true),
  unary('log1p', ops.log1p, true),
  unary('sqrt', ops.sqrt, true),
  unary('rsqrt', ops.rsqrt, true),
  unary('sin', ops.sin),
  unary('cos', ops.cos),
  unary('tanh', ops.tanh),
  unary('logistic', ops.logistic),
  unary('erf', ops.erf),
  unary('erfInv', x => ops.erfInv(ops.mul(ops.tanh(x), 0.8))),
  binary('add', ops.add),
  binary('sub', ops.sub),
  binary('mul', ops.mul),
  binary('div', ops.div, true),
  binary('pow', ops.pow, true),
  binary('rem', ops.rem, true),
  binary('max', ops.max),
  binary('min', ops.min),
  binary('atan2', ops.atan2, true),
  binary('select', (x, y) => ops.select(ops.gt(x, y), ops.mul(x, y), y)),
  { name: 'broadcastInDim', shapes: [[2, 1]], f: x => ops.broadcastInDim(x, [4, 2, 3], [1, 2]) },
  { name: 'reshape', shapes: [[2, 3]], f: x => ops.reshape(x, [3, 2]) },
  { name: 'transpose', shapes: [[2, 3, 4]], f: x => ops.transpose(x, [2, 0, 1]) },
  {
    name: 'concatenate',
    shapes: [
      [2, 3],
      [2, 1],
    ],
    f: (x, y) => ops.concatenate([x, y, x], 1),
  },
  { name: 'pad', shapes: [[2, 3], []], f: (x, v) => ops.pad(x, v, [1, -1], [0, 2], [1, 2]) },
  { name: 'slice', shapes: [[5, 4]], f: x => ops.slice(x, [1, 0], [5, 3], [2, 1]) },
  { name: 'rev', shapes: [[2, 3]], f: x => ops.rev(x, [1]) },
  { name: 'dynamicSlice', shapes: [[4, 3]], f: x => ops.dynamicSlice(x, start(3, 1), [2, 2]) },
  {
    name: 'dynamicUpdateSlice',
    shapes: [
      [4, 3],
      [2, 2],
    ],
    f: (x, y) => ops.dynamicUpdateSlice(x, y, start(1, 5)),
  },
  { name: 'reduceSum', shapes: [[2, 3, 2]], f: x => ops.reduceSum(x, [0, 2]) },
  { name: 'reduceMax', shapes: [[2, 3]], f: x => ops.reduceMax(x, [1]) },
  { name: 'reduceMin', shapes: [[2, 3]], f: x => ops.reduceMin(x, [0, 1]) },
  { name: 'cumsum', shapes: [[2, 3]], f: x => ops.cumsum(x, 1) },
  { name: 'cumsum reversed', shapes: [[3, 2]], f: x => ops.cumsum(x, 0, true) },
  {
    name: 'dotGeneral',
    shapes: [
      [2, 3, 4],
      [4, 2, 5],
    ],
    f: (x, y) => ops.dotGeneral(x, y, { contract: [[2], [0]], batch: [[0], [1]] }),
  },
  {
    name: 'dotGeneral, two contracted',
    shapes: [
      [2, 3, 4],
      [4, 5, 3],
    ],
    f: (x, y) =>
      ops.dotGeneral(x, y, {
        contract: [
          [1, 2],
          [2, 0],
        ],
        batch: [[], []],
      }),
  },
  { name: 'gather', shapes: [[4, 3]], f: x => ops.gather(x, index([1, 3, 1, 9]), { axes: [0], ...none }) },
  {
    name: 'gather, filled',
    shapes: [[4, 3]],
    f: x => ops.gather(x, index([1, 9]), { axes: [0], batchDims: 0, mode: 'fill' }),
  },
  {
    name: 'gather of pairs',
    shapes: [[4, 3, 2]],
    f: x => ops.gather(x, index([1, 0, 3, 2, 1, 0], 2), { axes: [0, 2], ...none }),
  },
  {
    name: 'scatterAdd',
    shapes: [
      [4, 2],
      [3, 2],
    ],
    f: (x, y) => ops.scatterAdd(x, index([1, 3, 1]), y, { axes: [0], ...none }),
  },
  {
    name: 'scatterAdd, dropped',
    shapes: [
      [4, 2],
      [3, 2],
    ],
    f: (x, y) => ops.scatterAdd(x, index([1, 7, 1]), y, { axes: [0], batchDims: 0, mode: 'drop' }),
  },
  { name: 'sort', shapes: [[3, 4]], f: x => ops.sort([x], 1)[0] },
  { name: 'topK', shapes: [[2, 4]], f: x => ops.topK(x, 2)[0] },
  { name: 'reduceProd', shapes: [[2, 5, 3]], f: x => ops.reduceProd(x, [2, 1]) },
  {
    name: 'reduceProd, with zeros',
    shapes: [[2, 3]],
    f: x =>
      ops.reduceProd(
        ops.mul(x, ops.pad(ops.full([2, 2], 1, 'float32'), ops.full([], 0, 'float32'), [0, 1], [0, 0])),
        [1],
      ),
  },
  {
    name: 'scatter',
    shapes: [
      [4, 2],
      [3, 2],
    ],
    f: (x, y) => ops.scatter(x, index([1, 3, 1]), y, { axes: [0], ...none }),
  },
  {
    name: 'scatter, dropped',
    shapes: [
      [4, 2],
      [3, 4],
    ],
    f: (x, y) => ops.scatter(x, index([1, 7, 0]), y, { axes: [1], batchDims: 0, mode: 'drop' }),
  },
  { name: 'scan', shapes: [[], [2], [3, 2]], f: scan(false) },
  { name: 'scan reversed', shapes: [[], [2], [3, 2]], f: scan(true) },
  {
    name: 'scan whose carries pass a tangent on',
    shapes: [[4]],
    f: xs => {
      const zero = ops.full([], 0.5, 'float32')
      return ops.concatenate(
        bind('scan', [zero, zero, zero, xs], { body: chain, numConsts: 0, numCarry: 3, length: 4, reverse: false }).map(
          v => ops.reshape(v, [v.size]),
        ),
        0,
      )
    },
  },
  {
    name: 'scan with an invariant',
    shapes: [[2], [2], [3, 2]],
    f: (w, h, xs) =>
      bind('scan', [w, h, xs], {
        body: traceClosed([f32(2), f32(2), f32(2)], ([a, b, x]) => [
          ops.add(ops.mul(ops.sin(b), ops.exp(ops.sin(a))), x),
        ]),
        numConsts: 1,
        numCarry: 1,
        length: 3,
        reverse: false,
      })[0],
  },
  {
    name: 'scan that forgets its carry',
    shapes: [[2], [3, 2]],
    f: (h, xs) =>
      bind('scan', [h, xs], {
        body: traceClosed([f32(2), f32(2)], ([a, x]) => [ops.full([2], 2, 'float32'), ops.mul(a, x)]),
        numConsts: 0,
        numCarry: 1,
        length: 3,
        reverse: false,
      })[1],
  },
  {
    name: 'scan in a scan',
    shapes: [[2], [4, 3, 2]],
    f: (h, xs) => bind('scan', [h, xs], { body: nested, numConsts: 0, numCarry: 1, length: 4, reverse: false })[0],
  },
  ...[0, 1, 2].map(i => ({ name: `cond ${i}`, shapes: [[2], [2]], f: choose(i) })),
  {
    name: 'cond in a scan',
    shapes: [[2], [3, 2]],
    f: (h, xs) =>
      bind('scan', [ops.full([], 0, 'int32'), h, xs], {
        body: traceClosed([aval('int32', []), f32(2), f32(2)], ([i, a, b]) => [
          ops.add(i, 1),
          bind('cond', [i, a, b], { branches })[0],
        ]),
        numConsts: 0,
        numCarry: 2,
        length: 3,
        reverse: false,
      })[1],
  },
  {
    name: 'call',
    shapes: [[2], [2]],
    f: (x, y) => bind('call', [x, y], { name: 'f', program: product, remat: false })[0],
  },
  {
    name: 'call, rematerialized',
    shapes: [[2], [2]],
    f: (x, y) => ops.mul(bind('call', [ops.sin(x), y], { name: 'f', program: product, remat: true })[0], x),
  },
  { name: 'composite', shapes: [[2], [2]], f: (x, y) => bind('composite', [x, y], { name: 'f', program: product })[0] },
  {
    name: 'composite with its own derivative',
    shapes: [[2], [2]],
    f: (x, y) =>
      bind('composite', [ops.sin(x), y], {
        name: 'f',
        program: product,
        vjp: { forward: keepInputs, backward: slope },
      })[0],
  },
  unary('convertElementType', x => ops.convertElementType(ops.convertElementType(x, 'float32'), 'float32')),
]

// Smooth values without ties or kinks nearby, the same on every run.
const sample = (size: number, seed: number, positive: boolean): number[] =>
  Array.from({ length: size }, (_, i) => {
    const v = Math.sin(12.9898 * (i + 1) + 78.233 * seed) * 1.3
    return positive ? Math.abs(v) + 0.3 : v + Math.sign(v) * 0.1
  })

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1)
const dot = (a: ArrayLike<number | bigint>, b: ArrayLike<number | bigint>): number =>
  Array.from(a).reduce((s: number, x, i) => s + Number(x) * Number(b[i]), 0)
const run = (program: Program, inputs: number[][]): ArrayLike<number>[] =>
  interpret(
    program,
    program.inputs.map((v, i) => hostFrom('float32', v.aval.shape, inputs[i])),
  ).map(t => t.data as Float32Array)

describe.each(cases)('$name', ({ shapes, f, positive = false }) => {
  const avals = shapes.map(s => aval('float32', s))
  const program = traceClosed(avals, xs => [f(...xs)])
  const outSize = size(program.outputs[0].aval.shape)
  const xs = shapes.map((s, i) => sample(size(s), i, positive))
  const ts = shapes.map((s, i) => sample(size(s), i + 5, false))
  const ct = sample(outSize, 11, false)

  const forward = traceClosed([...avals, ...avals], v => {
    const [, [t]] = jvpEval(program, v.slice(0, shapes.length), v.slice(shapes.length))
    return [t!]
  })
  const backward = traceClosed([...avals, program.outputs[0].aval], v => {
    const { pullback } = vjpEval(
      program,
      v.slice(0, -1),
      shapes.map(() => true),
    )
    return pullback(v.slice(-1))
  })

  it('JVP agrees with finite differences', () => {
    const h = 1e-2
    const at = (sign: number): ArrayLike<number> =>
      run(
        program,
        xs.map((x, i) => x.map((v, k) => v + sign * h * ts[i][k])),
      )[0]
    const [plus, minus] = [at(1), at(-1)]
    const [tangent] = run(forward, [...xs, ...ts])
    for (let i = 0; i < outSize; i++) {
      const expected = (plus[i] - minus[i]) / (2 * h)
      expect(Math.abs(tangent[i] - expected)).toBeLessThan(2e-3 * (1 + Math.abs(expected)) * (1 + Math.abs(expected)))
    }
  })

  it('VJP is the transpose of the JVP', () => {
    const [tangent] = run(forward, [...xs, ...ts])
    const gradients = run(backward, [...xs, ct])
    const left = dot(ct, tangent)
    const right = gradients.reduce((s, g, i) => s + dot(g, ts[i]), 0)
    expect(Math.abs(left - right)).toBeLessThan(1e-4 * (1 + Math.abs(left)))
  })
})

describe('second derivatives', () => {
  it.each(cases)('$name: reverse over reverse agrees with forward over reverse', ({ shapes, f, positive = false }) => {
    const avals = shapes.map(s => aval('float32', s))
    const active = shapes.map(() => true)
    const n = shapes.length
    const gradient = (xs: readonly Value[]): Value[] => {
      const loss = traceClosed(avals, v => {
        const y = f(...v)
        return [ops.reduceSum(ops.mul(y, y), ops.range(y.ndim))]
      })
      return vjpEval(loss, xs, active).pullback([ops.full([], 1, 'float32')])
    }
    const gradients = traceClosed(avals, gradient)
    const forward = traceClosed([...avals, ...avals], v => {
      const [primals, tangents] = jvpEval(gradients, v.slice(0, n), v.slice(n))
      return tangents.map((t, i) => t ?? ops.zerosLike(primals[i]))
    })
    const reverse = traceClosed([...avals, ...avals], v =>
      vjpEval(gradients, v.slice(0, n), active).pullback(v.slice(n)),
    )
    const inputs = [
      ...shapes.map((s, i) => sample(size(s), i, positive)),
      ...shapes.map((s, i) => sample(size(s), i + 5, false)),
    ]
    const [a, b] = [run(forward, inputs), run(reverse, inputs)]
    // The Hessian is symmetric.
    a.forEach((t, i) =>
      Array.from(t).forEach((v, k) => expect(Math.abs(v - b[i][k])).toBeLessThan(1e-3 * (1 + Math.abs(v)))),
    )
  })
})

describe('while', () => {
  // x doubled until it reaches a limit: 8 x for x between 1/8 and 1/4, and so is its tangent.
  const below = traceClosed([aval('float32', []), aval('int32', [])], ([x]) => [ops.lt(x, 1)])
  const double = traceClosed([aval('float32', []), aval('int32', [])], ([x, steps]) => [
    ops.mul(x, 2),
    ops.add(steps, 1),
  ])
  const program = traceClosed([aval('float32', [])], ([x]) =>
    bind('while', [x, ops.full([], 0, 'int32')], {
      condition: below,
      body: double,
      numConditionConsts: 0,
      numBodyConsts: 0,
    }),
  )

  it('has a forward-mode derivative', () => {
    const forward = traceClosed([aval('float32', []), aval('float32', [])], ([x, t]) => {
      const [outputs, [dx]] = jvpEval(program, [x], [t])
      return [...outputs, dx!]
    })
    expect(run(forward, [[0.2], [1]]).map(v => v[0])).toEqual([Math.fround(1.6), 3, 8])
  })

  it('refuses reverse mode with a message', () => {
    expect(() => traceClosed([aval('float32', [])], x => vjpEval(program, x, [true]).outputs)).toThrow(
      'while(f32[], i32[], f32[]) has no reverse mode',
    )
  })
})

describe('programs within programs, differentiated', () => {
  it('a scan stores no residuals that it can read from its operands', () => {
    // h + w x: the derivative needs w and the rows x, which are operands.
    const body = traceClosed([f32(), f32(), f32()], ([w, h, x]) => [ops.add(h, ops.mul(w, x))])
    const gradients = traceClosed([f32(), f32(), f32(9)], ([w, h, xs]) => {
      const loss = traceClosed([f32(), f32(), f32(9)], v =>
        bind('scan', v, { body, numConsts: 1, numCarry: 1, length: 9, reverse: false }),
      )
      return vjpEval(loss, [w, h, xs], [true, true, true]).pullback([ops.full([], 1, 'float32')])
    })
    const scans = gradients.equations.filter(e => e.primitive === 'scan')
    expect(scans.map(e => e.outputs.map(o => o.aval.shape))).toEqual([[[]], [[], [], [9]]])
  })

  it('a scan computes values that do not change once, before the loop', () => {
    const body = traceClosed([f32(2), f32(2), f32(2)], ([w, h, x]) => [ops.mul(h, ops.exp(w)), ops.mul(x, ops.exp(w))])
    const loss = traceClosed([f32(2), f32(2), f32(9, 2)], v =>
      bind('scan', v, { body, numConsts: 1, numCarry: 1, length: 9, reverse: false }),
    )
    const { primal } = linearize(loss, [true, true, true])
    const scans = primal.equations.filter(e => e.primitive === 'scan')
    // The carry and the rows, and of the residuals only the carry of each step: exp w comes from before the loop.
    expect(scans.map(e => e.outputs.map(o => o.aval.shape))).toEqual([[[2], [9, 2], [9, 2]]])
  })

  it('branches share slots for their residuals', () => {
    const { primal } = linearize(
      traceClosed([f32(2), f32(2)], ([x, y]) => [choose(0)(x, y)]),
      [true, true],
    )
    const cond = primal.equations.find(e => e.primitive === 'cond')!
    // The value, and cos x, sin x of the first branch; exp y of the second reuses one of those slots.
    expect(cond.outputs).toHaveLength(3)
  })
})
