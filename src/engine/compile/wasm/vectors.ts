import { get, i32Const, set, simd, V128, when } from './encoding.js'
import { f32x4, i32x4, i8x16, v128 } from './instructions.js'

/** A vector of four 32-bit lanes: the local that holds it. A truth value is a lane of all ones, or of zeros. */
export type Vector = number

/**
 * Writes the code of a loop's body, one instruction after the other; each result is a local. What depends on nothing
 * that changes from step to step is computed before the loop.
 */
export class Vectors {
  readonly locals: number[] = []
  /** Code before the loop. */
  readonly before: number[] = []
  body: number[] = []
  private readonly invariant = new Set<Vector>()
  /** Constants by their bits. */
  private readonly constants = new Map<string, Vector>()

  constructor(private readonly numParams: number) {}

  local(type: number = V128): number {
    return this.numParams + this.locals.push(type) - 1
  }

  /** The vector that code in the loop leaves on the stack. */
  computed(code: readonly number[]): Vector {
    const local = this.local()
    this.body.push(...code, ...set(local))
    return local
  }

  /** The vector that code before the loop leaves on the stack. */
  hoisted(code: readonly number[]): Vector {
    const local = this.local()
    this.before.push(...code, ...set(local))
    this.invariant.add(local)
    return local
  }

  /**
   * Applies an instruction; `immediate` is code between the operands and the opcode, `suffix` what follows the opcode.
   */
  op(opcode: number, operands: readonly Vector[], immediate: number[] = [], suffix: readonly number[] = []): Vector {
    const code = [...operands.flatMap(get), ...immediate, ...simd(opcode), ...suffix]
    return operands.every(v => this.invariant.has(v)) ? this.hoisted(code) : this.computed(code)
  }

  lanes(values: readonly [number, number, number, number]): Vector {
    const bytes = new Uint8Array(Int32Array.from(values).buffer)
    const key = bytes.join()
    let v = this.constants.get(key)
    if (v === undefined) this.constants.set(key, (v = this.hoisted([...simd(v128.const), ...bytes])))
    return v
  }

  /** The same integer in every lane, signed or not. */
  integer(value: number): Vector {
    return this.lanes([value, value, value, value])
  }

  float(value: number): Vector {
    return this.integer(bitsOf(value))
  }

  /** Shifts every lane by one count. */
  shift(opcode: number, x: Vector, count: number): Vector {
    return this.op(opcode, [x], i32Const(count))
  }

  rotateLeft(x: Vector, count: number): Vector {
    return this.op(v128.or, [this.shift(i32x4.shl, x, count), this.shift(i32x4.shrU, x, 32 - count)])
  }

  /** Bytes of x (0 to 15) and y (16 to 31) in a new order. */
  shuffle(x: Vector, y: Vector, order: readonly number[]): Vector {
    return this.op(i8x16.shuffle, [x, y], [], order)
  }

  where(condition: Vector, onTrue: Vector, onFalse: Vector): Vector {
    return this.op(v128.bitselect, [onTrue, onFalse, condition])
  }

  /** `where`, for conditions that are rarely true: `onTrue` is computed only if some lane needs it. */
  whereRarely(condition: Vector, onFalse: Vector, onTrue: () => Vector): Vector {
    const result = this.computed(get(onFalse))
    const outer = this.body
    this.body = []
    const chosen = this.where(condition, onTrue(), onFalse)
    const branch = [...this.body, ...get(chosen), ...set(result)]
    this.body = outer
    this.body.push(...get(condition), ...simd(v128.anyTrue), ...when(branch))
    return result
  }

  /** c0 + x (c1 + x (c2 + ...)) */
  polynomial(x: Vector, coefficients: readonly number[]): Vector {
    return coefficients
      .slice(0, -1)
      .reduceRight(
        (sum, c) => this.op(f32x4.add, [this.op(f32x4.mul, [x, sum]), this.float(c)]),
        this.float(coefficients[coefficients.length - 1]),
      )
  }
}

/** The bits of a number rounded to float32. */
export const bitsOf = (value: number): number => new Int32Array(Float32Array.of(value).buffer)[0]
