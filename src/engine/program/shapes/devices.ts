import { check } from '../../../base/errors.js'
import { aval, formatAval, sameAval } from '../aval.js'
import type { Aval } from '../aval.js'
import { NamedSharding, shardShape, wholeShape } from '../sharding.js'
import type { MeshAxis } from '../sharding.js'
import { checkAxes } from './rule.js'
import type { ShapeRules } from './rule.js'

/** The shape with dimension `dim` made longer, or split, by the number of devices along an axis. */
const gathered = (shape: readonly number[], dim: number, { size }: MeshAxis): number[] =>
  shape.map((d, i) => (i === dim ? d * size : d))
function splitOver(shape: readonly number[], dim: number, { name, size }: MeshAxis): number[] {
  check(
    shape[dim] % size === 0,
    () =>
      `dimension ${dim} has ${shape[dim]} elements, which cannot be split evenly over the ${size} devices of ${name}`,
  )
  return shape.map((d, i) => (i === dim ? d / size : d))
}

function checkPermutation({ name, size }: MeshAxis, permutation: readonly (readonly [number, number])[]): void {
  for (const [side, what] of [
    [0, 'sends'],
    [1, 'receives'],
  ] as const) {
    const devices = permutation.map(pair => pair[side])
    check(
      devices.every(d => Number.isInteger(d) && d >= 0 && d < size),
      () =>
        `the pairs ${JSON.stringify(permutation)} name a device that is not in 0..${size - 1}, the devices of ${name}`,
    )
    check(
      new Set(devices).size === devices.length,
      () => `a device ${what} twice in the pairs ${JSON.stringify(permutation)}`,
    )
  }
}

/** Programs on several devices, and what the devices compute together. */
export const deviceShapes = {
  shardingConstraint: ([x], { sharding }) => {
    shardShape(x.shape, sharding)
    return [x]
  },
  shardMap: (inputs, { mesh, inSpecs, outSpecs, body }) => {
    check(
      inputs.length === inSpecs.length && body.inputs.length === inSpecs.length,
      () =>
        `${inputs.length} operands, ${inSpecs.length} specs and ${body.inputs.length} inputs of the body do not fit`,
    )
    inputs.forEach((x, i) => {
      const part = aval(x.dtype, shardShape(x.shape, new NamedSharding(mesh, inSpecs[i])))
      const expected = body.inputs[i].aval
      check(
        sameAval(part, expected),
        () => `a device's part of operand ${i} is ${formatAval(part)}, and the body takes ${formatAval(expected)}`,
      )
    })
    return body.outputs.map(({ aval: part }, i): Aval => {
      const spec = outSpecs[i]
      check(
        spec.dims.length <= part.shape.length,
        () =>
          `result ${i} is ${formatAval(part)} on each device, which has fewer dimensions than its spec ${spec}: ` +
          'shorten the spec, or give the result these dimensions',
      )
      return { dtype: part.dtype, shape: wholeShape(part.shape, new NamedSharding(mesh, spec)) }
    })
  },
  psum: ([x], { axes }) => {
    check(axes.length > 0 && new Set(axes.map(a => a.name)).size === axes.length, 'name one axis or more, each once')
    return [x]
  },
  allGather: ([x], { axis, dim }) => {
    checkAxes([dim], x.shape.length)
    return [aval(x.dtype, gathered(x.shape, dim, axis))]
  },
  reduceScatter: ([x], { axis, dim }) => {
    checkAxes([dim], x.shape.length)
    return [aval(x.dtype, splitOver(x.shape, dim, axis))]
  },
  allToAll: ([x], { axis, splitDim, concatDim }) => {
    checkAxes([splitDim], x.shape.length)
    checkAxes([concatDim], x.shape.length)
    return [aval(x.dtype, gathered(splitOver(x.shape, splitDim, axis), concatDim, axis))]
  },
  ppermute: ([x], { axis, permutation }) => {
    checkPermutation(axis, permutation)
    return [x]
  },
  axisIndex: () => [aval('int32', [])],
} satisfies ShapeRules
