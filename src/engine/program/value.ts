import type { DType } from '../../base/dtypes.js'
import { sizeOf } from '../../base/host-tensor.js'
import type { Aval } from './aval.js'
import type { PrimitiveName } from './primitives.js'
import type { PrimitiveParams, Program } from './program.js'

/** Runs one primitive at once, on concrete values: the compile layer's side of `bind`. */
export interface Evaluator {
  evaluate<P extends PrimitiveName>(
    primitive: P,
    inputs: readonly Value[],
    params: PrimitiveParams[P],
    outputs: readonly Aval[],
  ): Value[]
  /** Runs a program; the memory of donated inputs may be taken for the results. */
  run(program: Program, inputs: readonly Value[], donated?: readonly boolean[], name?: string): Value[]
}

/** Anything a primitive can be applied to: a tracer, a literal, or a concrete array that knows its evaluator. */
export abstract class Value {
  abstract readonly aval: Aval
  readonly evaluator: Evaluator | null = null
  get shape(): readonly number[] {
    return this.aval.shape
  }
  get dtype(): DType {
    return this.aval.dtype
  }
  get ndim(): number {
    return this.aval.shape.length
  }
  get size(): number {
    return sizeOf(this.aval.shape)
  }
}

/** A scalar known while tracing: it is written into the program. */
export class Literal extends Value {
  readonly aval: Aval
  constructor(
    readonly value: number | bigint,
    dtype: DType,
  ) {
    super()
    this.aval = { dtype, shape: [] }
  }
}

export const literal = (value: number | bigint | boolean, dtype: DType): Literal =>
  new Literal(typeof value === 'boolean' ? Number(value) : value, dtype)
