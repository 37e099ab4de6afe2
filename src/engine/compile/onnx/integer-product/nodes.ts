import { hostScalar } from '../../../../base/host-tensor.js'
import { makeNode } from '../nodes.js'
import { elementTypes } from '../proto.js'
import type { Node } from '../proto.js'
import { constant, ints } from '../ragged-dot/tensors.js'
import type { GraphTensors } from '../ragged-dot/tensors.js'

/**
 * The integer product, as nn/quantized.ts defines it (`multiplyIntegers`). Inputs: x [..., in] in float32, values int8
 * [in, out] ([out, in] with the attribute `transB`), scales [out]. The attribute `axis` is x's last axis. ONNX has no
 * such operator: rules write it as one node, which `expandIntegerProducts` replaces by ONNX's operators.
 */
export const INTEGER_PRODUCT = 'IntegerProduct'

type Constants = Pick<GraphTensors, 'initializers'>

const scalars = {
  zero: hostScalar('uint8', 128),
  inverse: hostScalar('float32', 1 / 127),
} as const

const scalar = (name: keyof typeof scalars, tensors: Constants): string =>
  constant(`integer_${name}`, scalars[name], tensors)

/** A value whose rows are rounded. */
export interface RoundedValue {
  readonly name: string
  /**
   * Its last axis, counted from the first: given -1, ONNX Runtime's ReduceMax returns a wrong shape if there are no
   * rows.
   */
  readonly axis: number
  /** Whether no element is negative. Then the largest magnitudes take a third of the time. */
  readonly isRelu: boolean
}

/**
 * Rounds rows to 8 bits: the integers of `multiplyIntegers` with 128 added, as uint8, and the rows' largest magnitudes.
 * For an element that is not finite, and in a row of zeros, integers are arbitrary. Several products of one x write
 * equal nodes, which ONNX Runtime merges.
 */
export function quantizeRows(
  x: RoundedValue,
  prefix: string,
  tensors: Constants,
): { nodes: Node[]; integers: string; largest: string } {
  const name = (part: string): string => `${prefix}_${part}`
  const [integers, largest] = [name('integers'), name('largest')]
  return {
    integers,
    largest,
    nodes: [
      ...(x.isRelu ? largestOfRelu(x, largest, name, tensors) : largestMagnitudes(x, largest, name, tensors)),
      makeNode('Div', [x.name, largest], [name('parts')]),
      makeNode('QuantizeLinear', [name('parts'), scalar('inverse', tensors), scalar('zero', tensors)], [integers]),
    ],
  }
}

/** Computes the largest magnitude of each row as the value `largest`. `name` names the values on the way. */
type LargestOfRows = (x: RoundedValue, largest: string, name: (part: string) => string, tensors: Constants) => Node[]

/** Magnitudes are compared as their bits, since ONNX Runtime's ReduceMax of floats ignores a NaN at some positions. */
const largestMagnitudes: LargestOfRows = (x, largest, name, tensors) => [
  makeNode('Abs', [x.name], [name('magnitudes')]),
  makeNode('BitCast', [name('magnitudes')], [name('bits')], { to: elementTypes.int32 }),
  makeNode('ReduceMax', [name('bits'), ints([x.axis], tensors)], [name('largestBits')], { keepdims: 1 }),
  makeNode('BitCast', [name('largestBits')], [largest], { to: elementTypes.float32 }),
]

/**
 * Of elements from 0 up, the sum is at least the maximum, and NaN if one of them is. So the smaller of both is the
 * maximum that keeps NaN: Min does.
 */
const largestOfRelu: LargestOfRows = (x, largest, name, tensors) => [
  makeNode('ReduceMax', [x.name, ints([x.axis], tensors)], [name('maxima')], { keepdims: 1 }),
  makeNode('ReduceSum', [x.name, ints([x.axis], tensors)], [name('sums')], { keepdims: 1 }),
  makeNode('Min', [name('maxima'), name('sums')], [largest]),
]

/**
 * The product of the integers of `quantizeRows` and a kernel, times the kernel's scales / 127. `signed`: whether ONNX
 * Runtime's product of unsigned and signed integers is exact on this processor (see `multipliesSignedExactly`).
 * Otherwise the kernel becomes unsigned too, which is exact everywhere. Nodes that depend on weights alone are computed
 * when the session is made.
 */
export function integerDot(
  integers: string,
  [values, scales]: readonly string[],
  out: string,
  transposed: boolean,
  signed: boolean,
  tensors: Constants,
): Node[] {
  const name = (part: string): string => `${out}_${part}`
  const kernel = transposed ? name('kernel') : values
  const nodes = transposed ? [makeNode('Transpose', [values], [kernel], { perm: [1, 0] })] : []
  const zero = scalar('zero', tensors)
  const unsigned = signed
    ? []
    : [
        makeNode('Cast', [kernel], [name('bytes')], { to: elementTypes.uint8 }),
        makeNode('BitwiseXor', [name('bytes'), zero], [name('unsigned')]),
      ]
  const operands = [integers, signed ? kernel : name('unsigned'), scalar('inverse', tensors), scales, zero]
  return [
    ...nodes,
    ...unsigned,
    makeNode('MatMulIntegerToFloat', signed ? operands : [...operands, zero], [out], {}, 'com.microsoft'),
  ]
}
