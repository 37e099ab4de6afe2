import { hostScalar } from '../../../../base/host-tensor.js'
import { makeNode } from '../nodes.js'
import { elementTypes } from '../proto.js'
import type { Node } from '../proto.js'
import { constant, ints } from '../ragged-dot/tensors.js'
import type { GraphTensors } from '../ragged-dot/tensors.js'

/**
 * The integer product, as nn/quantized.ts defines it (`multiplyIntegers`). Inputs: x [..., in] in float32, values int8
 * [in, out] ([out, in] with the attribute `transB`), scales [out]. ONNX has no such operator: rules write it as one
 * node, which `expandIntegerProducts` replaces by ONNX's operators.
 */
export const INTEGER_PRODUCT = 'IntegerProduct'

type Constants = Pick<GraphTensors, 'initializers'>

const scalars = {
  one: hostScalar('float32', 1),
  zero: hostScalar('uint8', 128),
  bit: hostScalar('int32', 1),
  inverse: hostScalar('float32', 1 / 127),
} as const

const scalar = (name: keyof typeof scalars, tensors: Constants): string =>
  constant(`integer_${name}`, scalars[name], tensors)

/**
 * Rounds rows to 8 bits: `quantizeRows` of nn/quantized.ts, with 128 added to the integers, which are uint8. For an
 * element that is not finite they are arbitrary; its row's step is NaN. Equal nodes for several products of one x are
 * written again, and ONNX Runtime merges them.
 */
export function quantizeRows(
  x: string,
  prefix: string,
  tensors: Constants,
): { nodes: Node[]; integers: string; steps: string } {
  const name = (part: string): string => `${prefix}_${part}`
  const bits = (value: string, to: string): Node => makeNode('BitCast', [value], [to], { to: elementTypes.int32 })
  const float = (value: string, to: string): Node => makeNode('BitCast', [value], [to], { to: elementTypes.float32 })
  return {
    integers: name('integers'),
    steps: name('steps'),
    nodes: [
      makeNode('Abs', [x], [name('magnitudes')]),
      bits(name('magnitudes'), name('bits')),
      makeNode('ReduceMax', [name('bits'), ints([-1], tensors)], [name('largestBits')], { keepdims: 1 }),
      float(name('largestBits'), name('largest')),
      makeNode('Mul', [name('largest'), scalar('inverse', tensors)], [name('below')]),
      bits(name('below'), name('belowBits')),
      makeNode('Add', [name('belowBits'), scalar('bit', tensors)], [name('stepBits')]),
      float(name('stepBits'), name('steps')),
      makeNode('Div', [x, name('steps')], [name('quotients')]),
      makeNode(
        'QuantizeLinear',
        [name('quotients'), scalar('one', tensors), scalar('zero', tensors)],
        [name('integers')],
      ),
    ],
  }
}

/**
 * The product of the integers of `quantizeRows` and a kernel, times the kernel's scales. `signed`: whether ONNX
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
  const operands = [integers, signed ? kernel : name('unsigned'), scalar('one', tensors), scales, zero]
  return [
    ...nodes,
    ...unsigned,
    makeNode('MatMulIntegerToFloat', signed ? operands : [...operands, zero], [out], {}, 'com.microsoft'),
  ]
}
