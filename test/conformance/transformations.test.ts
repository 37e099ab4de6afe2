/**
 * Random sequences of transformations (words, one letter each) of random programs. Each letter is checked against its
 * definition, applied to the rest of the word.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hostFrom } from '../../src/base/host-tensor.js'
import { interpret } from '../../src/engine/compile/reference/interpret.js'
import { aval } from '../../src/engine/program/aval.js'
import type { Aval } from '../../src/engine/program/aval.js'
import * as ops from '../../src/engine/program/ops.js'
import { Program } from '../../src/engine/program/program.js'
import { bind, traceClosed } from '../../src/engine/program/trace.js'
import type { Value } from '../../src/engine/program/value.js'
import { withoutDeadCode } from '../../src/engine/transform/dead-code.js'
import { jvpEval } from '../../src/engine/transform/jvp.js'
import { vjpEval } from '../../src/engine/transform/linearize.js'
import { batchEval } from '../../src/engine/transform/vmap.js'

const n = 3
const vector: Aval = aval('float32', [n])
const scalar = (v: Value): Value => ops.full([], 1, v.dtype)

// Programs: a list of steps, each applied to two earlier values and appended. All values are f32[3], smooth and small.
type Step = (x: Value, y: Value) => Value
const body = traceClosed([vector, vector, aval('float32', [])], ([w, h, x]) => {
  const next = ops.tanh(ops.add(ops.mul(w, h), ops.broadcastInDim(x, [n], [])))
  return [next, ops.reduceSum(ops.mul(next, h), [0])]
})
const branches = [
  traceClosed([vector, vector], ([x, y]) => [ops.sin(ops.mul(x, y))]),
  traceClosed([vector, vector], ([, y]) => [ops.cos(y)]),
]
const index = (i: number): Value => ops.full([], i, 'int32')
const steps: { [name: string]: Step } = {
  add: (x, y) => ops.mul(ops.add(x, y), 0.7),
  mul: (x, y) => ops.mul(x, y),
  sin: x => ops.sin(x),
  tanh: (x, y) => ops.tanh(ops.sub(x, y)),
  logistic: x => ops.logistic(x),
  divide: (x, y) => ops.div(x, ops.add(ops.mul(y, y), 1)),
  cumsum: x => ops.mul(ops.cumsum(x, 0), 0.5),
  rev: x => ops.rev(x, [0]),
  outer: (x, y) =>
    ops.mul(ops.reduceSum(ops.dotGeneral(ops.tanh(x), ops.sin(y), { contract: [[], []], batch: [[], []] }), [0]), 0.4),
  softmax: x => {
    const e = ops.exp(ops.tanh(x))
    return ops.div(e, ops.broadcastInDim(ops.reduceSum(e, [0]), [n], []))
  },
  product: (x, y) => ops.broadcastInDim(ops.reduceProd(ops.mul(ops.cos(x), ops.cos(y)), [0]), [n], []),
  slices: (x, y) => ops.concatenate([ops.slice(x, [1], [3]), ops.slice(y, [0], [1])], 0),
  window: (x, y) => ops.dynamicUpdateSlice(x, ops.dynamicSlice(ops.sin(y), [index(1)], [2]), [index(0)]),
  gather: x =>
    ops.gather(x, ops.reshape(ops.sub(2, ops.iota('int32', [n], 0)), [n, 1]), {
      axes: [0],
      batchDims: 0,
      mode: 'clip',
    }),
  scatterAdd: (x, y) =>
    ops.scatterAdd(x, ops.full([n, 1], 1, 'int32'), ops.mul(y, 0.3), { axes: [0], batchDims: 0, mode: 'clip' }),
  scan: (x, y) => {
    const [last, ys] = bind('scan', [x, y, ops.sin(x)], { body, numConsts: 1, numCarry: 1, length: n, reverse: false })
    return ops.add(last, ops.tanh(ys))
  },
  cond: (x, y) => bind('cond', [index(0), x, y], { branches })[0],
  condOfBatch: (x, y) =>
    bind('cond', [ops.convertElementType(ops.gt(ops.reduceSum(ops.stopGradient(x), [0]), 100), 'int32'), x, y], {
      branches,
    })[0],
}
const program = fc
  .array(fc.record({ step: fc.constantFrom(...Object.keys(steps)), x: fc.nat(20), y: fc.nat(20) }), {
    minLength: 1,
    maxLength: 6,
  })
  .map(list =>
    traceClosed([vector], ([input]) => {
      const values = [input]
      for (const { step, x, y } of list)
        values.push(steps[step](values[Math.max(0, values.length - 1 - (x % 2))], values[y % values.length]))
      return [values[values.length - 1]]
    }),
  )

// Transformations of functions f32[3] -> f32[3], and what they mean in terms of the function transformed.
type Meaning = (f: (x: number[]) => number[], x: number[]) => number[]
const identity: Meaning = (f, x) => f(x)
const directional = (x: number[]): number[] => x.map((_, i) => [0.5, -1, 0.25][i])
const h = 1e-2
const sum = (v: number[]): number => v.reduce((a, b) => a + b, 0)
const moved = (x: number[], direction: number[], step: number): number[] => x.map((v, i) => v + step * direction[i])
const gradientOf: Meaning = (f, x) =>
  x.map((_, i) => {
    const e = x.map((__, k) => (k === i ? 1 : 0))
    return (sum(f(moved(x, e, h))) - sum(f(moved(x, e, -h)))) / (2 * h)
  })

const letters: { [name: string]: { apply: (p: Program) => Program; meaning: Meaning } } = {
  call: {
    apply: p => traceClosed([vector], v => bind('call', v, { name: 'f', program: p, remat: false })),
    meaning: identity,
  },
  remat: {
    apply: p => traceClosed([vector], v => bind('call', v, { name: 'f', program: p, remat: true })),
    meaning: identity,
  },
  composite: {
    apply: p => traceClosed([vector], v => bind('composite', v, { name: 'f', program: p })),
    meaning: identity,
  },
  ownDerivative: {
    apply: p =>
      traceClosed([vector], v =>
        bind('composite', v, {
          name: 'f',
          program: p,
          vjp: {
            forward: new Program(p.inputs, p.equations, [...p.outputs, ...p.inputs]),
            backward: traceClosed([vector, vector], ([x, ct]) => vjpEval(p, [x], [true]).pullback([ct])),
          },
        }),
      ),
    meaning: identity,
  },
  withoutDeadCode: { apply: withoutDeadCode, meaning: identity },
  grad: {
    apply: p =>
      traceClosed([vector], v => {
        const { outputs, pullback } = vjpEval(p, v, [true])
        return pullback([ops.broadcastInDim(scalar(outputs[0]), [n], [])])
      }),
    meaning: gradientOf,
  },
  jvp: {
    apply: p =>
      traceClosed([vector], ([x]) => {
        const direction = ops.concatenate(
          [0.5, -1, 0.25].map(d => ops.full([1], d, 'float32')),
          0,
        )
        const [[y], [t]] = jvpEval(p, [x], [direction])
        return [t ?? ops.zerosLike(y)]
      }),
    meaning: (f, x) => {
      const [plus, minus] = [f(moved(x, directional(x), h)), f(moved(x, directional(x), -h))]
      return plus.map((v, i) => (v - minus[i]) / (2 * h))
    },
  },
  vmap: {
    apply: p =>
      traceClosed([vector], ([x]) => {
        const rows = ops.concatenate(
          [x, ops.mul(x, 0.5)].map(v => ops.reshape(v, [1, n])),
          0,
        )
        const [{ value, batched }] = batchEval(p, { size: 2 }, [{ value: rows, batched: true }])
        return [batched ? ops.reduceSum(value, [0]) : ops.mul(value, 2)]
      }),
    meaning: (f, x) => {
      const [a, b] = [f(x), f(x.map(v => v / 2))]
      return a.map((v, i) => v + b[i])
    },
  },
}

const run = (p: Program, x: number[]): number[] =>
  Array.from(interpret(p, [hostFrom('float32', [n], x)])[0].data as Float32Array)

describe('words of transformations', () => {
  const word = fc.array(fc.constantFrom(...Object.keys(letters)), { minLength: 1, maxLength: 4 })
  const point = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: n, maxLength: n })

  it('mean what their letters mean', () => {
    fc.assert(
      fc.property(program, word, point, (start, names, x) => {
        let current = start
        for (const name of names) {
          const { apply, meaning } = letters[name]
          const next = apply(current)
          const [actual, expected] = [run(next, x), meaning(v => run(current, v), x)]
          const scale = 1 + Math.max(...actual.map(Math.abs), ...expected.map(Math.abs))
          actual.forEach((v, i) =>
            expect(Math.abs(v - expected[i]), `${name}: ${actual} is not ${expected}\n${start}`).toBeLessThan(
              1e-2 * scale,
            ),
          )
          current = next
        }
      }),
      { numRuns: 150, seed: 7 },
    )
  })

  it('removing dead code keeps the results', () => {
    fc.assert(
      fc.property(program, point, (start, x) => {
        const gradients = letters.grad.apply(start)
        const live = withoutDeadCode(gradients)
        expect(live.equations.length).toBeLessThanOrEqual(gradients.equations.length)
        expect(run(live, x)).toEqual(run(gradients, x))
      }),
      { numRuns: 50, seed: 3 },
    )
  })
})
