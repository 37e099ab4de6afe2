import type { Lowered } from '../graph.js'
import { INTEGER_PRODUCT } from '../integer-product/nodes.js'
import { RAGGED_DOT, RAGGED_OUTER, SWITCHYARD_DOMAIN } from '../ragged-dot/operators.js'
import { Formula } from './formula.js'
import { clamp } from './indexing.js'
import { expanded } from './rule.js'
import type { Lowering, LoweringContext } from './rule.js'

/** Writes a composite as one or a few nodes; null if its operands do not fit the kernel. */
type Fused = (
  context: LoweringContext,
  inputs: readonly Lowered[],
  attributes: { readonly [name: string]: number },
) => Lowered[] | null

/**
 * The composites for which ONNX Runtime has a float32 kernel. All others, and those for which a rule returns null, are
 * inlined.
 */
const fused: { readonly [name: string]: Fused } = {
  softmax: ({ g, ins: [a], outs: [out] }, [x]) => [
    g.node('Softmax', [g.expand(x, a.shape)], out.dtype, out.shape, { axis: -1 }),
  ],

  // Outputs: inverseRms, normed.
  rms_norm: ({ g, ins: [a, s], outs: [inverseRms, normed] }, [x, scale], { epsilon }) =>
    g
      .several('SimplifiedLayerNormalization', [g.expand(x, a.shape), g.expand(scale, s.shape)], [normed, inverseRms], {
        axis: -1,
        epsilon: { float: epsilon },
      })
      .toReversed(),

  // With the attribute `transposed`, the kernels are [groups, out, in].
  ragged_dot: ({ g, ins, outs: [out] }, inputs, { transposed = 0 }) => {
    const [x, kernels, groupSizes] = expanded({ g, ins }, inputs)
    const [groups] = kernels.shape
    return [
      g.node(
        RAGGED_DOT,
        [x, g.cast(groupSizes, 'int64'), kernels],
        out.dtype,
        out.shape,
        { groups, outputs: out.shape[1], ...(transposed && { transB: 1 }) },
        SWITCHYARD_DOMAIN,
      ),
    ]
  },
  ragged_outer: ({ g, ins, outs: [out] }, inputs) => {
    const [x, y, groupSizes] = expanded({ g, ins }, inputs)
    return [
      g.node(
        RAGGED_OUTER,
        [x, g.cast(groupSizes, 'int64'), y],
        out.dtype,
        out.shape,
        { groups: out.shape[0] },
        SWITCHYARD_DOMAIN,
      ),
    ]
  },

  // x keeps the axes that a Reshape merged, as in `dotGeneral`. A transposed kernel is read as it is.
  integer_product: ({ g, ins, outs: [out] }, inputs) => {
    const [x, scales, values] = expanded({ g, ins }, inputs)
    const before = g.beforeReshape(x)
    const left = before.shape.at(-1) === x.shape[1] ? before : x
    const transposed = g.beforeTranspose(values)
    const product = g.node(
      INTEGER_PRODUCT,
      [left, transposed ?? values, scales],
      out.dtype,
      [...left.shape.slice(0, -1), out.shape[1]],
      { transB: Number(transposed !== undefined), axis: left.shape.length - 1 },
      SWITCHYARD_DOMAIN,
    )
    return [g.reshape(product, out.shape)]
  },
  integer_ragged_dot: ({ g, ins, outs: [out] }, inputs) => {
    const [x, scales, values, groupSizes] = expanded({ g, ins }, inputs)
    const attributes = { groups: values.shape[0], outputs: out.shape[1], integers: 1 }
    const operands = [x, g.cast(groupSizes, 'int64'), values, scales]
    return [g.node(RAGGED_DOT, operands, out.dtype, out.shape, attributes, SWITCHYARD_DOMAIN)]
  },

  // `blocksOf` asks for accuracy_level 4: x is rounded to 8 bits, block by block, so that the kernel multiplies
  // integers.
  quantized_product: ({ g, ins, outs: [out] }, inputs, { bits }) => {
    const [x, scales, values] = expanded({ g, ins }, inputs)
    const blocks = blocksOf(values.shape, bits)
    return blocks && [g.node('MatMulNBits', [x, values, scales], out.dtype, out.shape, blocks, 'com.microsoft')]
  },
  quantized_ragged_dot: ({ g, ins, outs: [out] }, inputs, { bits }) => {
    const [x, scales, values, groupSizes] = expanded({ g, ins }, inputs)
    const blocks = blocksOf(values.shape, bits)
    const [groups, outputs] = values.shape
    return (
      blocks && [
        g.node(
          RAGGED_DOT,
          [x, g.cast(groupSizes, 'int64'), values, scales],
          out.dtype,
          out.shape,
          { groups, outputs, ...blocks },
          SWITCHYARD_DOMAIN,
        ),
      ]
    )
  },

  relu: ({ g }, [x]) => [new Formula(g).op('Relu', x)],

  // Outputs: logZ (the log normalizer), loss. LogSoftmax is one kernel and gives log p = logit - logZ, so at the target
  // logZ = logit - log p and loss = -log p.
  softmax_cross_entropy: ({ g, ins: [a], outs: [logZ, loss] }, [logits, targets]) => {
    const f = new Formula(g)
    const fullLogits = g.expand(logits, a.shape)
    const axis = a.shape.length - 1
    const column = [...loss.shape, 1]
    const at = g.reshape(g.expand(clamp(f, g.cast(targets, 'int64'), [a.shape[axis] - 1]), loss.shape), column)
    const ofTarget = (x: Lowered): Lowered =>
      g.reshape(g.node('GatherElements', [x, at], 'float32', column, { axis }), loss.shape)
    const logP = ofTarget(g.node('LogSoftmax', [fullLogits], 'float32', a.shape, { axis }))
    return [{ ...f.op('Sub', ofTarget(fullLogits), logP), shape: logZ.shape }, f.op('Neg', logP)]
  },
}

/**
 * MatMulNBits's attributes for a kernel of the given shape, [..., out, blocks, bytes of a block]; null for block sizes
 * that it lacks.
 */
function blocksOf(shape: readonly number[], bits: number): { [name: string]: number } | null {
  const [outputs, blocks, bytes] = shape.slice(-3)
  const block_size = (8 * bytes) / bits
  if (block_size < 16 || !Number.isInteger(Math.log2(block_size))) return null
  return { K: blocks * block_size, N: outputs, bits, block_size, accuracy_level: 4 }
}

export const composite: Lowering<'composite'> = (context, inputs, { name, program, attributes = {} }) => {
  const rule = context.ins[0]?.dtype === 'float32' ? fused[name] : undefined
  return rule?.(context, inputs, attributes) ?? context.inline(context.g, program, inputs)
}
