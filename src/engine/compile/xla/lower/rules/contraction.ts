import { axesText } from '../mlir.js'
import * as ops from '../ops.js'
import type { Lowering } from './rule.js'

const HIGHEST = '[#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]'

/**
 * One dot_general. Of float32 operands no digits are dropped (`HIGHEST`, which forbids a GPU's TF32). For bool, the
 * number of pairs that are both true is counted in float32: it is 0 or not, however large.
 */
export const dotGeneral: Lowering<'dotGeneral'> = ({ block, outs: [out] }, inputs, { contract, batch }) => {
  const isBool = out.dtype === 'bool'
  const operands = isBool ? inputs.map(x => ops.convert(block, x, 'float32')) : inputs
  const product = block.op('stablehlo.dot_general', operands, isBool ? { ...out, dtype: 'float32' } : out, {
    dot_dimension_numbers:
      `#stablehlo.dot<lhs_batching_dimensions = ${axesText(batch[0])}, ` +
      `rhs_batching_dimensions = ${axesText(batch[1])}, lhs_contracting_dimensions = ${axesText(contract[0])}, ` +
      `rhs_contracting_dimensions = ${axesText(contract[1])}>`,
    precision_config: HIGHEST,
  })
  return [isBool ? ops.isTrue(block, product) : product]
}
