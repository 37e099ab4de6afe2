import type { HostTensor } from '../../../src/base/host-tensor.js'
import * as ops from '../../../src/engine/program/ops.js'
import type { Program } from '../../../src/engine/program/program.js'
import { traceClosed } from '../../../src/engine/program/trace.js'
import { literal } from '../../../src/engine/program/value.js'
import type { Value } from '../../../src/engine/program/value.js'
import { everyDType, sample, zeros } from './case.js'

interface ProgramCase {
  name: string
  program: Program
  inputs: HostTensor[]
}

const of = (name: string, inputs: HostTensor[], f: (xs: Value[]) => Value[]): ProgramCase => ({
  name,
  program: traceClosed(inputs, f),
  inputs,
})

const x = sample('float32', [2, 3])
const y = sample('float32', [2, 3], 1)

/** Programs with unusual connections of inputs and outputs. */
export const programs: readonly ProgramCase[] = [
  of('an output that is an input', [x, y], ([a]) => [a]),
  of('the same output twice', [x], ([a]) => {
    const b = ops.neg(a)
    return [b, b]
  }),
  of('an input as two outputs, next to a computed one', [x], ([a]) => [a, ops.neg(a), a]),
  of('an output that others go on from', [x], ([a]) => {
    const b = ops.neg(a)
    return [b, ops.abs(b)]
  }),
  of('literals as outputs', [], () => everyDType.map(d => literal(1, d))),
  of('an int64 literal beyond 2^53', [], () => [
    literal(2n ** 53n + 1n, 'int64'),
    ops.full([2], -(2n ** 63n), 'int64'),
  ]),
  of('literals that floats must carry exactly', [], () =>
    [NaN, Infinity, -Infinity, -0, 1e-40, 0.1].map(v => literal(v, 'float32')),
  ),
  of('broadcast outputs', [x], ([a]) => [ops.broadcastInDim(a, [4, 2, 3], [1, 2]), ops.full([2, 2], 7, 'int32')]),
  of('no inputs', [], () => [ops.iota('int32', [4], 0)]),
  of('no outputs', [x], ([a]) => {
    ops.neg(a)
    return []
  }),
  of('an unused input and an unused equation', [x, y], ([a, b]) => {
    ops.exp(b)
    return [ops.neg(a)]
  }),
  of(
    'every dtype in and out',
    everyDType.map(d => sample(d, [2, 3])),
    xs => xs.map(v => ops.rev(v, [1])),
  ),
  of('inputs of size 0 and rank 0', [zeros('float32', [0, 3]), sample('int32', [])], ([a, b]) => [
    ops.neg(a),
    ops.neg(b),
    ops.reduceSum(a, [0]),
  ]),
  of('one value under many broadcasts', [sample('float32', [3])], ([a]) => {
    const rows = ops.broadcastInDim(a, [2, 3], [1])
    const columns = ops.broadcastInDim(a, [3, 2], [0])
    return [ops.add(rows, ops.transpose(columns, [1, 0])), ops.mul(rows, rows), ops.reduceMax(columns, [0])]
  }),
  // ONNX Runtime 1.30 would end the process: see `bitCastTypes` in onnx/graph.ts.
  of('a transposed value whose bits are returned and that is multiplied', [sample('bfloat16', [3, 1, 2])], ([a]) => {
    const rows = ops.scatter(a, ops.full([2, 1], 1, 'int32'), ops.full([2, 3, 1], 1, 'bfloat16'), {
      axes: [2],
      batchDims: 0,
      mode: 'clip',
    })
    return [rows, ops.dotGeneral(rows, rows, { contract: [[1], [1]], batch: [[], []] })]
  }),
  of('a chain of a thousand equations', [x], ([a]) => [
    Array.from({ length: 1000 }).reduce<Value>((v, _, i) => (i % 2 ? ops.neg(v) : ops.max(v, -1)), a),
  ]),
]
