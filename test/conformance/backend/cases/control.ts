import { isFloat } from '../../../../src/base/dtypes.js'
import type { DType } from '../../../../src/base/dtypes.js'
import { aval } from '../../../../src/engine/program/aval.js'
import * as ops from '../../../../src/engine/program/ops.js'
import { bind, traceClosed } from '../../../../src/engine/program/trace.js'
import type { Program } from '../../../../src/engine/program/program.js'
import { literal } from '../../../../src/engine/program/value.js'
import type { Value } from '../../../../src/engine/program/value.js'
import { Broadcast, everyDType, sample, tensor, zeros } from '../case.js'
import type { Case, PrimitiveCases } from '../case.js'
import type { HostTensor } from '../../../../src/base/host-tensor.js'
import { exact } from '../compare.js'

export const threefry2x32: PrimitiveCases<'threefry2x32'> = {
  dtypes: ['uint32'],
  tolerance: exact,
  cases: () => {
    const words = (...values: number[]): HostTensor => tensor('uint32', values)
    const of = (shape: number[]): Case<'threefry2x32'> => ({
      name: `shape [${shape}]`,
      operands: [0, 1, 2, 3].map(i => sample('uint32', shape, i)),
      params: {},
    })
    return [
      of([]),
      of([0]),
      of([1]),
      of([2, 3]),
      of([1000]),
      // Known answers of the Random123 library for 20 rounds.
      {
        name: 'known answers',
        params: {},
        operands: [
          words(0, 0xffffffff, 0x13198a2e),
          words(0, 0xffffffff, 0x03707344),
          words(0, 0xffffffff, 0x243f6a88),
          words(0, 0xffffffff, 0x85a308d3),
        ],
        expected: [words(0x6b200159, 0x1cb996fc, 0xc4923a9c), words(0x99ba4efe, 0xbb002be7, 0x483df7a0)],
      },
      {
        name: 'one key, many counters',
        params: {},
        operands: [
          new Broadcast(literal(7, 'uint32'), [40], []),
          new Broadcast(literal(4294967295, 'uint32'), [40], []),
          sample('uint32', [40]),
          new Broadcast(sample('uint32', [1]), [40], [0]),
        ],
      },
    ]
  },
}

/** Arithmetic that every dtype has, and that is exact in all of them. */
const combine = (x: Value, y: Value): Value => (x.dtype === 'bool' ? ops.xor(x, y) : ops.max(x, y))

/** Small whole numbers: sums of a few stay exact in every dtype. */
const whole = (dtype: DType, shape: readonly number[], seed = 0): HostTensor => {
  const count = shape.reduce((n, d) => n * d, 1)
  return tensor(
    dtype,
    Array.from({ length: count }, (_, i) => (dtype === 'bool' ? (i + seed) % 2 : (i * 3 + seed) % 7)),
    shape,
  )
}

const program = (inputs: readonly { dtype: DType; shape: readonly number[] }[], f: (xs: Value[]) => Value[]): Program =>
  traceClosed(inputs, f)

/** Subprograms of equations. They test how inputs and outputs are connected, not the arithmetic. */
function subprograms<P extends 'call' | 'composite'>(
  dtype: DType,
  params: (program: Program) => Case<P>['params'],
): Case<P>[] {
  const x = aval(dtype, [2, 3])
  const operands = [whole(dtype, [2, 3]), whole(dtype, [2, 3], 1)]
  const inner = program([x, x], ([a, b]) => [combine(a, b), ops.transpose(b, [1, 0])])
  return [
    { name: 'two outputs', operands, params: params(inner) },
    { name: 'outputs that are inputs', operands, params: params(program([x, x], ([a, b]) => [b, a, b])) },
    {
      name: 'an output that is a literal',
      operands: [operands[0]],
      params: params(program([x], () => [literal(1, dtype)])),
    },
    { name: 'unused input', operands, params: params(program([x, x], ([a]) => [ops.reshape(a, [6])])) },
    { name: 'no inputs', operands: [], params: params(program([], () => [ops.full([2, 2], 1, dtype)])) },
    { name: 'no outputs', operands, params: params(program([x, x], () => [])) },
    {
      name: 'nested',
      operands,
      params: params(
        program([x, x], ([a, b]) =>
          bind('call', [b, bind('call', [a, b], { name: 'inner', program: inner, remat: false })[0]], {
            name: 'inner',
            program: inner,
            remat: false,
          }),
        ),
      ),
    },
    {
      name: 'broadcast operands',
      operands: [new Broadcast(literal(1, dtype), [2, 3], []), operands[1]],
      params: params(inner),
    },
    {
      name: 'a broadcast output',
      operands: [operands[0]],
      params: params(program([x], ([a]) => [ops.broadcastInDim(ops.slice(a, [0, 0], [1, 3]), [4, 1, 3], [1, 2])])),
    },
    {
      name: 'literal operand',
      operands: [literal(1, dtype)],
      params: params(program([aval(dtype, [])], ([a]) => [ops.broadcastInDim(a, [2], [])])),
    },
  ]
}

export const call: PrimitiveCases<'call'> = {
  dtypes: everyDType,
  tolerance: exact,
  cases: dtype => [
    ...subprograms<'call'>(dtype, p => ({ name: 'f', program: p, remat: false })),
    ...subprograms<'call'>(dtype, p => ({ name: 'f', program: p, remat: true })).map(c => ({
      ...c,
      name: `${c.name}, remat`,
    })),
  ],
}

export const composite: PrimitiveCases<'composite'> = {
  dtypes: everyDType,
  tolerance: exact,
  cases: dtype => subprograms<'composite'>(dtype, p => ({ name: 'conformance_unknown_to_every_backend', program: p })),
}

export const linearCall: PrimitiveCases<'linearCall'> = {
  dtypes: ['float32', 'bfloat16'],
  tolerance: exact,
  cases: dtype => {
    const x = aval(dtype, [2, 3])
    const scale = program([x, x], ([r, a]) => [ops.mul(r, a)])
    const operands = [whole(dtype, [2, 3]), whole(dtype, [2, 3], 1)]
    return [
      { name: 'scaling', operands, params: { name: 'scale', program: scale, transpose: scale, numResiduals: 1 } },
      {
        name: 'a broadcast residual',
        operands: [new Broadcast(literal(2, dtype), [2, 3], []), operands[1]],
        params: { name: 'scale', program: scale, transpose: scale, numResiduals: 1 },
      },
    ]
  },
}

const flags = (name: string, reverse: boolean): string => `${name}${reverse ? ', reverse' : ''}`

export const scan: PrimitiveCases<'scan'> = {
  dtypes: everyDType,
  tolerance: exact,
  cases: dtype => {
    const s = aval(dtype, [])
    const v = aval(dtype, [3])
    const running = program([s, s], ([c, x]) => [combine(c, x), combine(c, x)])
    const withConst = program([v, s, v, s, v], ([k, c, d, x, y]) => {
      const next = combine(combine(d, y), k)
      return [combine(c, x), next, ops.broadcastInDim(x, [2], []), ops.rev(next, [0])]
    })
    const mixed = program([aval('int32', []), v, aval('bool', []), v], ([n, c, flag, x]) => [
      ops.add(n, ops.convertElementType(flag, 'int32')),
      ops.select(ops.broadcastInDim(flag, [3], []), x, c),
      n,
    ])
    const inner = { body: running, numConsts: 0, numCarry: 1, length: 3, reverse: true }
    const nested = program([s, v], ([c, x]) => bind('scan', [c, x], inner))
    const branching = program([aval('int32', []), s, s], ([k, c, x]) => [
      bind('cond', [k, c, x], {
        branches: [program([s, s], ([a]) => [a]), program([s, s], ([a, b]) => [combine(a, b)])],
      })[0],
    ])
    return [false, true].flatMap(reverse => {
      const all: Case<'scan'>[] = [
        {
          name: 'running',
          operands: [whole(dtype, []), whole(dtype, [5], 1)],
          params: { body: running, numConsts: 0, numCarry: 1, length: 5, reverse },
        },
        {
          name: 'length 1',
          operands: [whole(dtype, []), whole(dtype, [1], 1)],
          params: { body: running, numConsts: 0, numCarry: 1, length: 1, reverse },
        },
        {
          name: 'length 0',
          operands: [whole(dtype, []), zeros(dtype, [0])],
          params: { body: running, numConsts: 0, numCarry: 1, length: 0, reverse },
        },
        {
          name: 'consts, two carries, two operands, two results',
          operands: [
            whole(dtype, [3]),
            whole(dtype, []),
            whole(dtype, [3], 1),
            whole(dtype, [4], 2),
            whole(dtype, [4, 3], 3),
          ],
          params: { body: withConst, numConsts: 1, numCarry: 2, length: 4, reverse },
        },
        {
          name: 'nothing scanned',
          operands: [whole(dtype, [3])],
          params: { body: program([v], ([c]) => [ops.rev(c, [0]), c]), numConsts: 0, numCarry: 1, length: 3, reverse },
        },
        {
          name: 'no carry',
          operands: [whole(dtype, [4, 3])],
          params: { body: program([v], ([x]) => [ops.rev(x, [0]), x]), numConsts: 0, numCarry: 0, length: 4, reverse },
        },
        {
          name: 'no results',
          operands: [whole(dtype, []), whole(dtype, [4], 1)],
          params: { body: program([s, s], ([c, x]) => [combine(c, x)]), numConsts: 0, numCarry: 1, length: 4, reverse },
        },
        {
          name: 'carries that swap',
          operands: [whole(dtype, [3]), whole(dtype, [3], 1)],
          params: { body: program([v, v], ([a, b]) => [b, a, a]), numConsts: 0, numCarry: 2, length: 3, reverse },
        },
        {
          name: 'a carry that stays, a literal result',
          operands: [whole(dtype, []), whole(dtype, [2])],
          params: {
            body: program([s, s], ([c]) => [c, literal(1, dtype)]),
            numConsts: 0,
            numCarry: 1,
            length: 2,
            reverse,
          },
        },
        {
          name: 'mixed dtypes',
          operands: [tensor('int32', [10], []), whole(dtype, [3]), tensor('bool', [1, 0, 1]), whole(dtype, [3, 3], 2)],
          params: { body: mixed, numConsts: 0, numCarry: 2, length: 3, reverse },
        },
        {
          name: 'nested',
          operands: [whole(dtype, []), whole(dtype, [2, 3], 1)],
          params: { body: nested, numConsts: 0, numCarry: 1, length: 2, reverse },
        },
        {
          name: 'cond inside',
          operands: [tensor('int32', [1], []), whole(dtype, []), whole(dtype, [4], 1)],
          params: { body: branching, numConsts: 1, numCarry: 1, length: 4, reverse },
        },
        {
          name: 'broadcast carry',
          operands: [literal(1, dtype), new Broadcast(literal(1, dtype), [3], [])],
          params: { body: running, numConsts: 0, numCarry: 1, length: 3, reverse },
        },
      ]
      return all.map(c => ({ ...c, name: flags(c.name, reverse) }))
    })
  },
}

export const whileCases: PrimitiveCases<'while'> = {
  dtypes: everyDType,
  tolerance: exact,
  cases: dtype => {
    const n = aval('int32', [])
    const x = aval(dtype, [3])
    const below = (limit: number): Program => program([n, x], ([i]) => [ops.lt(i, limit)])
    const step = program([n, x], ([i, a]) => [ops.add(i, 1), combine(ops.rev(a, [0]), a)])
    const plain = { numConditionConsts: 0, numBodyConsts: 0 }
    const operands = [tensor('int32', [0], []), whole(dtype, [3])]
    const inner = { condition: below(2), body: step, ...plain }
    const cases: Case<'while'>[] = [
      { name: 'five times', operands, params: { condition: below(5), body: step, ...plain } },
      { name: 'never', operands, params: { condition: below(0), body: step, ...plain } },
      {
        name: 'never, broadcast carry',
        operands: [literal(9, 'int32'), new Broadcast(literal(1, dtype), [3], [])],
        params: { condition: below(5), body: step, ...plain },
      },
      {
        name: 'consts of both',
        operands: [tensor('int32', [4], []), whole(dtype, [3], 2), tensor('int32', [2], []), ...operands],
        params: {
          numConditionConsts: 1,
          numBodyConsts: 2,
          condition: program([n, n, x], ([limit, i]) => [ops.lt(i, limit)]),
          body: program([x, n, n, x], ([k, by, i, a]) => [ops.add(i, by), combine(a, k)]),
        },
      },
      {
        name: 'carries that swap',
        operands: [operands[0], whole(dtype, [3]), whole(dtype, [3], 1)],
        params: {
          condition: program([n, x, x], ([i]) => [ops.lt(i, 3)]),
          body: program([n, x, x], ([i, a, b]) => [ops.add(i, 1), b, a]),
          ...plain,
        },
      },
      {
        name: 'nested',
        operands,
        params: {
          condition: below(3),
          body: program([n, x], ([i, a]) => [ops.add(i, 1), bind('while', [literal(0, 'int32'), a], inner)[1]]),
          ...plain,
        },
      },
    ]
    if (isFloat(dtype)) {
      const s = aval(dtype, [])
      cases.push({
        name: 'until large',
        operands: [tensor(dtype, [1], [])],
        params: {
          condition: program([s], ([a]) => [ops.lt(a, 100)]),
          body: program([s], ([a]) => [ops.mul(a, 2)]),
          ...plain,
        },
        expected: [tensor(dtype, [128], [])],
      })
    }
    return cases
  },
}

export const cond: PrimitiveCases<'cond'> = {
  dtypes: everyDType,
  tolerance: exact,
  cases: dtype => {
    const x = aval(dtype, [2, 3])
    const first = program([x, x], ([a, b]) => [combine(a, b), a])
    const second = program([x, x], ([a, b]) => [b, ops.rev(a, [1])])
    const constant = program([x, x], () => [ops.full([2, 3], 1, dtype), ops.full([2, 3], 0, dtype)])
    const nested = program([x, x], ([a, b]) => bind('cond', [literal(1, 'int32'), b, a], { branches: [first, second] }))
    const operands = [whole(dtype, [2, 3]), whole(dtype, [2, 3], 1)]
    const index = (i: number): HostTensor => tensor('int32', [i], [])
    const branches = [first, second, constant]
    return [
      ...[0, 1, 2, -1, -2147483648, 3, 100].map(i => ({
        name: `branch ${i} of 3`,
        operands: [index(i), ...operands],
        params: { branches },
      })),
      ...[0, 1, 2, -1].map(i => ({
        name: `branch ${i} of 2`,
        operands: [index(i), ...operands],
        params: { branches: [second, nested] },
      })),
      ...[0, 1, 5].map(i => ({
        name: `branch ${i} of 5`,
        operands: [index(i), ...operands],
        params: { branches: [first, second, constant, nested, second] },
      })),
      { name: 'one branch', operands: [index(7), ...operands], params: { branches: [first] } },
      { name: 'literal index', operands: [literal(1, 'int32'), ...operands], params: { branches } },
      {
        name: 'no operands',
        operands: [index(1)],
        params: {
          branches: [program([], () => [ops.full([2], 0, dtype)]), program([], () => [ops.full([2], 1, dtype)])],
        },
      },
      {
        name: 'broadcast operands',
        operands: [index(1), new Broadcast(literal(1, dtype), [2, 3], []), operands[1]],
        params: { branches },
      },
      {
        name: 'a scalar literal out',
        operands: [index(0)],
        params: { branches: [program([], () => [literal(1, dtype)]), program([], () => [literal(0, dtype)])] },
      },
    ]
  },
}
