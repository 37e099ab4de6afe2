import type { DType } from '../../../../base/dtypes.js'
import type { GraphWriter, Lowered } from '../graph.js'
import type { ElementType } from '../proto.js'
import { joined } from './rule.js'

/** The type that Where computes in, for the types it lacks. */
const whereThrough: { [D in ElementType]?: ElementType } = {
  bfloat16: 'float32',
  float16: 'float32',
  int8: 'int32',
  uint16: 'int32',
}

/** Writes element-wise formulas into a graph. Operands may still have axes of length 1 that broadcast. */
export class Formula {
  constructor(readonly g: GraphWriter) {}
  op(name: string, ...inputs: readonly Lowered[]): Lowered {
    return this.g.node(name, inputs, inputs[0].dtype, joined(...inputs))
  }
  test(name: string, ...inputs: readonly Lowered[]): Lowered {
    return this.g.node(name, inputs, 'bool', joined(...inputs))
  }
  /**
   * Where. ONNX Runtime lacks it for some types: their values go through a wider type. Of floats it adds up what the two sides
   * give, which turns -0 into 0: see `whereExactly`.
   */
  where(condition: Lowered, x: Lowered, y: Lowered): Lowered {
    const { g } = this
    const shape = joined(condition, x, y)
    if (x.dtype === 'bool')
      return this.op('Or', this.op('And', condition, x), this.op('And', this.op('Not', condition), y))
    if (x.dtype === 'uint32')
      return g.bitcast(
        g.node('Where', [condition, g.bitcast(x, 'int32'), g.bitcast(y, 'int32')], 'int32', shape),
        'uint32',
      )
    const through = whereThrough[x.dtype]
    if (through)
      return g.cast(g.node('Where', [condition, g.cast(x, through), g.cast(y, through)], through, shape), x.dtype)
    return g.node('Where', [condition, x, y], x.dtype, shape)
  }
  /** Where of float32 that keeps the sign of a zero: it selects bits. Each BitCast is a copy, so this is for rare operations. */
  whereExactly(condition: Lowered, x: Lowered, y: Lowered): Lowered {
    const bits = (v: Lowered): Lowered => this.g.bitcast(v, 'int32')
    return this.g.bitcast(this.where(condition, bits(x), bits(y)), 'float32')
  }
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
