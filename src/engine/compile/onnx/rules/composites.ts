import type { GraphWriter, Lowered } from '../graph.js'
import type { Lowering, LoweringContext } from './rule.js'

type Fused = (g: GraphWriter, inputs: readonly Lowered[], context: LoweringContext) => Lowered[] | null

/** Composites that ONNX Runtime has a kernel for. Any other, and a case that a kernel does not cover (null), is inlined. */
const fused: { readonly [name: string]: Fused } = {
  softmax: (g, [x], { ins: [a], outs: [out] }) =>
    a.dtype === 'float32' ? [g.node('Softmax', [g.expand(x, a.shape)], out.dtype, out.shape, { axis: -1 })] : null,
}

export const composite: Lowering<'composite'> = (context, inputs, { name, program }) =>
  fused[name]?.(context.g, inputs, context) ?? context.inline(context.g, program, inputs)
