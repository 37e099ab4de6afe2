import { isInteger } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import { aval, formatAval, sameAval, sameShape } from '../aval.js'
import type { Aval } from '../aval.js'
import type { GatherParams } from '../primitives.js'
import { checkAxes } from './rule.js'
import type { ShapeRules } from './rule.js'

/** The type of a gather's output, which is also the type of a scatter's updates. */
function gathered(operand: Aval, indices: Aval, { axes, batchDims }: GatherParams): Aval {
  checkAxes(axes, operand.shape.length)
  check(
    axes.every(a => a >= batchDims),
    'a batch axis cannot be indexed',
  )
  check(isInteger(indices.dtype), () => `indices must be integers, not ${indices.dtype}`)
  check(
    indices.shape[indices.shape.length - 1] === axes.length,
    () => `the last axis of indices must have length ${axes.length}`,
  )
  check(sameShape(operand.shape.slice(0, batchDims), indices.shape.slice(0, batchDims)), 'batch axes differ')
  const kept = operand.shape.filter((_, i) => i >= batchDims && !axes.includes(i))
  return aval(operand.dtype, [...indices.shape.slice(0, -1), ...kept])
}

const scatterShape = ([operand, indices, updates]: readonly Aval[], params: GatherParams): Aval[] => {
  const expected = gathered(operand, indices, params)
  check(sameAval(updates, expected), () => `updates must be ${formatAval(expected)}`)
  return [operand]
}

/** Contraction, indexing, sorting and random bits. */
export const indexingShapes = {
  dotGeneral: ([x, y], { contract: [cx, cy], batch: [bx, by] }) => {
    checkAxes([...bx, ...cx], x.shape.length)
    checkAxes([...by, ...cy], y.shape.length)
    check(x.dtype === y.dtype, 'the operands must have one dtype')
    const agree = (a: readonly number[], b: readonly number[]): boolean =>
      a.length === b.length && a.every((d, i) => x.shape[d] === y.shape[b[i]])
    check(agree(cx, cy), () => `contracted axes [${cx}] and [${cy}] differ in size`)
    check(agree(bx, by), () => `batch axes [${bx}] and [${by}] differ in size`)
    const free = (a: Aval, used: readonly number[]): number[] => a.shape.filter((_, i) => !used.includes(i))
    return [aval(x.dtype, [...bx.map(d => x.shape[d]), ...free(x, [...bx, ...cx]), ...free(y, [...by, ...cy])])]
  },
  gather: ([operand, indices], params) => [gathered(operand, indices, params)],
  scatter: scatterShape,
  scatterAdd: scatterShape,
  sort: (inputs, { axis }) => {
    checkAxes([axis], inputs[0].shape.length)
    check(
      inputs.every(x => sameShape(x.shape, inputs[0].shape)),
      'the operands must have one shape',
    )
    return [...inputs]
  },
  topK: ([x], { k }) => {
    const n = x.shape[x.shape.length - 1]
    check(x.shape.length > 0 && k >= 0 && k <= n, () => `k=${k} does not fit the last axis`)
    const shape = [...x.shape.slice(0, -1), k]
    return [aval(x.dtype, shape), aval('int32', shape)]
  },
  threefry2x32: inputs => {
    check(
      inputs.length === 4 && inputs.every(x => sameAval(x, inputs[0]) && x.dtype === 'uint32'),
      'needs four uint32 operands of one shape',
    )
    return [inputs[0], inputs[0]]
  },
} satisfies ShapeRules
