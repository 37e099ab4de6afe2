import type { GraphWriter, Lowered } from '../graph.js'
import { Formula } from './elementwise.js'
import { clamp } from './indexing.js'
import type { Lowering, LoweringContext } from './rule.js'

type Fused = (context: LoweringContext, inputs: readonly Lowered[], attributes: { readonly [name: string]: number }) => Lowered[] | null

/** Composites that ONNX Runtime has a float32 kernel for; in other types, under other names, and where a rule returns null they are inlined. */
const fused: { readonly [name: string]: Fused } = {
  softmax: ({ g, ins: [a], outs: [out] }, [x]) => [g.node('Softmax', [g.expand(x, a.shape)], out.dtype, out.shape, { axis: -1 })],

  // Outputs: inverseRms, normed.
  rms_norm: ({ g, ins: [a, s], outs: [inverseRms, normed] }, [x, scale], { epsilon }) =>
    g.several('SimplifiedLayerNormalization', [g.expand(x, a.shape), g.expand(scale, s.shape)], [normed, inverseRms], { axis: -1, epsilon: { float: epsilon } }).toReversed(),

  // It reads only the experts that were chosen, and its weight of the one expert is the softmax over all.
  moe_ffn: ({ g, ins, outs: [out] }, inputs) => {
    const [x, logits, wi, wo] = inputs.map((input, i) => g.expand(input, ins[i].shape))
    const [y] = g.several('MoE', [x, logits, wi, null, wo], [out], { k: 1, activation_type: 'relu' }, 'com.microsoft')
    return [readAfter(g, x, y)]
  },

  // accuracy_level 4: x is rounded to 8 bits, a block at a time, for products of integers.
  quantized_product: ({ g, ins: [, , { shape: [N, blocks, bytes] }], outs: [out] }, [x, scales, values], { bits }) => {
    const block_size = (8 * bytes) / bits
    if (block_size < 16 || !Number.isInteger(Math.log2(block_size))) return null
    return [g.node('MatMulNBits', [x, values, scales], out.dtype, out.shape, { K: blocks * block_size, N, bits, block_size, accuracy_level: 4 }, 'com.microsoft')]
  },

  // It weighs the one expert with 1, and not with its share of all. Its two kernels must be in several blocks of one size, or in one block each.
  quantized_moe_ffn: ({ g, ins, outs: [out] }, inputs, { bits }) => {
    const [x, logits, ...kernels] = inputs.map((input, i) => g.expand(input, ins[i].shape))
    const [, , , { shape: [experts, dFf, blocks, bytes] }, , { shape: [, dModel, woBlocks, woBytes] }] = ins
    const isWhole = blocks === 1 && woBlocks === 1
    if (!isWhole && (bytes !== woBytes || blocks === 1 || woBlocks === 1)) return null
    const scales = (kernel: Lowered, outputs: number, n: number): Lowered => g.reshape(kernel, isWhole ? [experts, outputs] : [experts, outputs, n])
    const wi = [g.reshape(kernels[1], [experts, dFf, blocks * bytes]), scales(kernels[0], dFf, blocks)]
    const wo = [g.reshape(kernels[3], [experts, dModel, woBlocks * woBytes]), scales(kernels[2], dModel, woBlocks)]
    const attributes = { k: 1, activation_type: 'relu', expert_weight_bits: bits, ...(isWhole ? {} : { block_size: (8 * bytes) / bits }) }
    const [y] = g.several('QMoE', [x, logits, ...wi, null, ...wo], [out], attributes, 'com.microsoft')
    const share = g.node('ReduceMax', [g.node('Softmax', [logits], 'float32', ins[1].shape, { axis: -1 }), g.ints([1])], 'float32', [out.shape[0], 1], { keepdims: 1 })
    return [g.node('Mul', [readAfter(g, x, y), share], out.dtype, out.shape)]
  },

  relu: ({ g }, [x]) => [new Formula(g).op('Relu', x)],

  // Outputs in the order of their names: logZ, loss. log p = logits - logZ comes from one kernel; the normalizer follows from the target's two values.
  softmax_cross_entropy: ({ g, ins: [a], outs: [logZ, loss] }, [logits, targets]) => {
    const f = new Formula(g)
    const whole = g.expand(logits, a.shape)
    const axis = a.shape.length - 1
    const column = [...loss.shape, 1]
    const at = g.reshape(g.expand(clamp(f, g.cast(targets, 'int64'), [a.shape[axis] - 1]), loss.shape), column)
    const ofTarget = (x: Lowered): Lowered => g.reshape(g.node('GatherElements', [x, at], 'float32', column, { axis }), loss.shape)
    const logP = ofTarget(g.node('LogSoftmax', [whole], 'float32', a.shape, { axis }))
    return [{ ...f.op('Sub', ofTarget(whole), logP), shape: logZ.shape }, f.op('Neg', logP)]
  },
}

/** y, where x is read once more. ONNX Runtime lets its mixtures of experts write over x, which they then find empty (1.30). */
const readAfter = (g: GraphWriter, x: Lowered, y: Lowered): Lowered => g.node('Where', [g.scalar('bool', 0), x, y], y.dtype, y.shape)

export const composite: Lowering<'composite'> = (context, inputs, { name, program, attributes = {} }) => {
  const rule = context.ins[0]?.dtype === 'float32' ? fused[name] : undefined
  return rule?.(context, inputs, attributes) ?? context.inline(context.g, program, inputs)
}
