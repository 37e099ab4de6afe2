import type { Lowered } from '../graph.js'
import { Formula } from './elementwise.js'
import { clamp } from './indexing.js'
import type { Lowering, LoweringContext } from './rule.js'

type Fused = (context: LoweringContext, inputs: readonly Lowered[], attributes: { readonly [name: string]: number }) => Lowered[]

/** Composites that ONNX Runtime has a float32 kernel for; in other types, and under other names, they are inlined. */
const fused: { readonly [name: string]: Fused } = {
  softmax: ({ g, ins: [a], outs: [out] }, [x]) => [g.node('Softmax', [g.expand(x, a.shape)], out.dtype, out.shape, { axis: -1 })],

  // Outputs: inverseRms, normed.
  rms_norm: ({ g, ins: [a, s], outs: [inverseRms, normed] }, [x, scale], { epsilon }) =>
    g.several('SimplifiedLayerNormalization', [g.expand(x, a.shape), g.expand(scale, s.shape)], [normed, inverseRms], { axis: -1, epsilon: { float: epsilon } }).toReversed(),

  // It reads only the experts that were chosen, and its weight of the one expert is the softmax over all. ONNX Runtime lets it write over x,
  // which it then finds empty (1.30): so something has to read x afterwards.
  moe_ffn: ({ g, ins, outs: [out] }, inputs) => {
    const [x, logits, wi, wo] = inputs.map((input, i) => g.expand(input, ins[i].shape))
    const [y] = g.several('MoE', [x, logits, wi, null, wo], [out], { k: 1, activation_type: 'relu' }, 'com.microsoft')
    return [g.node('Where', [g.scalar('bool', 0), x, y], out.dtype, out.shape)]
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

export const composite: Lowering<'composite'> = (context, inputs, { name, program, attributes = {} }) => {
  const rule = context.ins[0]?.dtype === 'float32' ? fused[name] : undefined
  return rule ? rule(context, inputs, attributes) : context.inline(context.g, program, inputs)
}
