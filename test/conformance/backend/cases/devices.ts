import type { DType } from '../../../../src/base/dtypes.js'
import * as ops from '../../../../src/engine/program/ops.js'
import { Mesh, NamedSharding, P, shardShape } from '../../../../src/engine/program/sharding.js'
import type { PartitionSpec } from '../../../../src/engine/program/sharding.js'
import { traceClosed } from '../../../../src/engine/program/trace.js'
import type { Value } from '../../../../src/engine/program/value.js'
import { everyDType, tensor } from '../case.js'
import type { Case, PrimitiveCases } from '../case.js'
import { exact } from '../compare.js'

const mesh = new Mesh({ data: 2, expert: 2 })
const [data, expert] = mesh.axes

export const shardingConstraint: PrimitiveCases<'shardingConstraint'> = {
  dtypes: everyDType,
  tolerance: exact,
  cases: dtype => [
    {
      name: 'the operand itself',
      operands: [tensor(dtype, [1, 0, 1, 1], [2, 2])],
      params: { sharding: new NamedSharding(mesh, P('data', 'expert')) },
      expected: [tensor(dtype, [1, 0, 1, 1], [2, 2])],
    },
  ],
}

/** A body with one operand and one result, and the result's elements by dtype. */
interface Example {
  name: string
  shape: readonly number[]
  values: readonly number[]
  inSpec: PartitionSpec
  body: (x: Value) => Value
  outSpec: PartitionSpec
  expected: readonly number[]
  expectedShape?: readonly number[]
}

// Operands of 0 and 1, because bool has no other values. Sums are of one 1 at most, so that they fit bool too.
const examples: Example[] = [
  {
    name: 'psum over both axes',
    shape: [4],
    values: [0, 1, 0, 0],
    inSpec: P(['data', 'expert']),
    body: x => ops.psum(x, mesh.axes),
    outSpec: P(),
    expected: [1],
    expectedShape: [1],
  },
  {
    name: 'psum over one axis of two',
    shape: [4],
    values: [0, 1, 0, 0],
    inSpec: P(['data', 'expert']),
    body: x => ops.psum(x, [expert]),
    outSpec: P('data'),
    expected: [1, 0],
    expectedShape: [2],
  },
  {
    name: 'psum of parts that repeat along an axis',
    shape: [2],
    values: [0, 1],
    inSpec: P('data'),
    body: x => ops.psum(x, [data]),
    outSpec: P(),
    expected: [1],
    expectedShape: [1],
  },
  {
    name: 'allGather along another dimension',
    shape: [2, 2],
    values: [1, 0, 1, 1],
    inSpec: P('data'),
    body: x => ops.allGather(x, data, 1),
    outSpec: P(),
    expected: [1, 0, 1, 1],
    expectedShape: [1, 4],
  },
  {
    name: 'reduceScatter',
    shape: [2, 4],
    values: [1, 0, 0, 0, 0, 0, 1, 0],
    inSpec: P('expert'),
    body: x => ops.reduceScatter(x, expert, 1),
    outSpec: P(null, 'expert'),
    expected: [1, 0, 1, 0],
    expectedShape: [1, 4],
  },
  {
    name: 'allToAll',
    shape: [2, 4],
    values: [1, 0, 0, 1, 1, 1, 0, 1],
    inSpec: P('expert'),
    body: x => ops.allToAll(x, expert, 1, 0),
    outSpec: P('expert'),
    // Device 0 gets the columns 0 and 1 of both rows, device 1 the columns 2 and 3.
    expected: [1, 0, 1, 1, 0, 1, 0, 1],
    expectedShape: [4, 2],
  },
  {
    name: 'ppermute that leaves a device out',
    shape: [4],
    values: [1, 0, 1, 1],
    inSpec: P('data'),
    body: x => ops.ppermute(x, data, [[0, 1]]),
    outSpec: P('data'),
    expected: [0, 0, 1, 0],
  },
  {
    name: 'axisIndex',
    shape: [4],
    values: [1, 1, 1, 1],
    inSpec: P(['data', 'expert']),
    body: x => {
      const isFirst = ops.eq(ops.axisIndex(data), ops.full([], 0, 'int32'))
      return ops.select(ops.broadcastInDim(isFirst, x.shape, []), x, ops.zerosLike(x))
    },
    outSpec: P(['data', 'expert']),
    expected: [1, 1, 0, 0],
  },
  {
    name: 'a dimension that is split over the axes in the other order',
    shape: [4],
    values: [1, 0, 0, 1],
    inSpec: P(['expert', 'data']),
    body: x => ops.rev(ops.allGather(x, data, 0), [0]),
    outSpec: P('expert'),
    expected: [0, 1, 1, 0],
  },
  {
    name: 'a result that repeats along an axis of its spec',
    shape: [2],
    values: [1, 0],
    inSpec: P(),
    body: x => x,
    outSpec: P('data'),
    expected: [1, 0, 1, 0],
    expectedShape: [4],
  },
]

function caseOf(dtype: DType, { name, shape, values, inSpec, body, outSpec, ...rest }: Example): Case<'shardMap'> {
  const part = { dtype, shape: shardShape(shape, new NamedSharding(mesh, inSpec)) }
  return {
    name,
    operands: [tensor(dtype, values, shape)],
    params: { mesh, inSpecs: [inSpec], outSpecs: [outSpec], body: traceClosed([part], ([x]) => [body(x)]) },
    expected: [tensor(dtype, rest.expected, rest.expectedShape ?? shape)],
  }
}

/** Programs for several devices, run by one, and the collectives within them. */
export const shardMap: PrimitiveCases<'shardMap'> = {
  dtypes: everyDType,
  tolerance: exact,
  cases: dtype => examples.map(example => caseOf(dtype, example)),
}
