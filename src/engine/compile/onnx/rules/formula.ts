import type { DType } from '../../../../base/dtypes.js'
import type { GraphWriter, Lowered } from '../graph.js'
import type { ElementType } from '../proto.js'
import { broadcastShape } from './rule.js'

/** For types that ONNX Runtime's Where lacks, the wider type to select in. */
const whereVia: { [D in ElementType]?: ElementType } = {
  bfloat16: 'float32',
  float16: 'float32',
  int8: 'int32',
  uint16: 'int32',
}

/** Writes element-wise formulas into a graph. Operands may have axes of length 1 that are broadcast. */
export class Formula {
  constructor(readonly g: GraphWriter) {}
  /** An operator whose result has its first operand's dtype. */
  op(name: string, ...inputs: readonly Lowered[]): Lowered {
    return this.g.node(name, inputs, inputs[0].dtype, broadcastShape(...inputs))
  }
  /** An operator whose result is bool. */
  test(name: string, ...inputs: readonly Lowered[]): Lowered {
    return this.g.node(name, inputs, 'bool', broadcastShape(...inputs))
  }
  /**
   * Where. Types that ONNX Runtime lacks are selected in a wider type. For floats, ONNX Runtime adds the elements
   * selected from x and those from y, with zeros elsewhere, which turns -0 into 0: see `whereExactly`.
   */
  where(condition: Lowered, x: Lowered, y: Lowered): Lowered {
    const { g } = this
    const shape = broadcastShape(condition, x, y)
    if (x.dtype === 'bool')
      return this.op('Or', this.op('And', condition, x), this.op('And', this.op('Not', condition), y))
    if (x.dtype === 'uint32')
      return g.bitcast(
        g.node('Where', [condition, g.bitcast(x, 'int32'), g.bitcast(y, 'int32')], 'int32', shape),
        'uint32',
      )
    const via = whereVia[x.dtype]
    if (via) return g.cast(g.node('Where', [condition, g.cast(x, via), g.cast(y, via)], via, shape), x.dtype)
    return g.node('Where', [condition, x, y], x.dtype, shape)
  }
  /**
   * Where of float32 that keeps the sign of zeros, by selecting bits. Each BitCast copies, so this is for rare
   * operations.
   */
  whereExactly(condition: Lowered, x: Lowered, y: Lowered): Lowered {
    const bits = (v: Lowered): Lowered => this.g.bitcast(v, 'int32')
    return this.g.bitcast(this.where(condition, bits(x), bits(y)), 'float32')
  }
  /** A scalar constant of the dtype of `like`. */
  constant(like: Lowered, value: number): Lowered {
    return this.g.scalar(like.dtype as DType, value)
  }
  /** c0 + x (c1 + x (c2 + ...)) */
  polynomial(x: Lowered, coefficients: readonly number[]): Lowered {
    return coefficients
      .slice(0, -1)
      .reduceRight(
        (sum, c) => this.op('Add', this.op('Mul', x, sum), this.constant(x, c)),
        this.constant(x, coefficients[coefficients.length - 1]),
      )
  }
}
