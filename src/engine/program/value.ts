import type { DType } from '../../base/dtypes.js'
import { sizeOf } from '../../base/host-tensor.js'
import type { Aval } from './aval.js'
import type { PrimitiveName } from './primitives.js'
import type { PrimitiveParams, Program } from './program.js'
import type { Partition } from './sharding.js'

/** Computes on concrete values. `bind` calls it outside of tracing; the compile layer's `Engine` implements it. */
export interface Evaluator {
  /** Applies one primitive. */
  evaluate<P extends PrimitiveName>(
    primitive: P,
    inputs: readonly Value[],
    params: PrimitiveParams[P],
    outputs: readonly Aval[],
  ): Value[]
  /**
   * Runs a program. The results may take the memory of donated inputs. `name`: the function's, for errors. `partition`:
   * over which mesh, and with which layouts, it runs on several devices. `origin`: what errors of compilation and
   * computation name; by default, `name`.
   */
  run(
    program: Program,
    inputs: readonly Value[],
    donated?: readonly boolean[],
    name?: string,
    partition?: Partition | null,
    origin?: string,
  ): Value[]
}

/** Anything a primitive can be applied to: a tracer, a literal, or a concrete array. */
export abstract class Value {
  abstract readonly aval: Aval
  /** What computes on this value: set for concrete arrays only. */
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

/** A scalar constant. Tracing writes it into the program. */
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

/** A scalar constant from a JS value; booleans become 0 or 1. */
export const literal = (value: number | bigint | boolean, dtype: DType): Literal =>
  new Literal(typeof value === 'boolean' ? Number(value) : value, dtype)
