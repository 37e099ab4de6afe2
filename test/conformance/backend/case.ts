import { allocate, dtypes, isFloat } from '../../../src/base/dtypes.js'
import type { DType } from '../../../src/base/dtypes.js'
import { hostFrom, sizeOf, toNumbers } from '../../../src/base/host-tensor.js'
import type { HostTensor } from '../../../src/base/host-tensor.js'
import { bind, traceClosed } from '../../../src/engine/program/trace.js'
import { broadcastInDim } from '../../../src/engine/program/ops.js'
import type { PrimitiveName } from '../../../src/engine/program/primitives.js'
import type { PrimitiveParams, Program } from '../../../src/engine/program/program.js'
import { Literal } from '../../../src/engine/program/value.js'
import type { Value } from '../../../src/engine/program/value.js'
import { isSubnormal } from './compare.js'
import type { Tolerance } from './compare.js'

/** An operand that reaches the primitive through a broadcastInDim, which a backend may have kept small. */
export class Broadcast {
  constructor(
    readonly of: HostTensor | Literal,
    readonly shape: readonly number[],
    readonly dims: readonly number[],
  ) {}
}

export type Operand = HostTensor | Literal | Broadcast

interface CaseOf<Params> {
  name: string
  operands: readonly Operand[]
  params: Params
  expected?: readonly HostTensor[]
}

interface CasesOf<Params> {
  dtypes: readonly DType[]
  tolerance: Tolerance
  cases: (dtype: DType) => CaseOf<Params>[]
}

/** One equation with its operands. The expected results are the interpreter's, unless they are stated here. */
export type Case<P extends PrimitiveName = PrimitiveName> = CaseOf<PrimitiveParams[P]>

/** The cases of a primitive for each dtype that it is tested with. */
export type PrimitiveCases<P extends PrimitiveName = PrimitiveName> = CasesOf<PrimitiveParams[P]>

export const floats: readonly DType[] = ['float32', 'float16', 'bfloat16']
export const integers: readonly DType[] = ['int32', 'uint32', 'int64', 'uint8', 'int8', 'uint16']
export const numeric: readonly DType[] = [...floats, ...integers]
export const everyDType = Object.keys(dtypes) as DType[]
export const isUnsigned = (dtype: DType): boolean => dtype.startsWith('u')

/** Values that differ from element to element, the same on every run: small, of both signs where the dtype has them. */
export function sample(dtype: DType, shape: readonly number[], seed = 0): HostTensor {
  const value = (i: number): number => {
    if (dtype === 'bool') return Number((i * 7 + seed * 3) % 5 < 2)
    if (isFloat(dtype)) return 3 * Math.sin(12.9898 * (i + 1) + 78.233 * seed)
    return ((i * 7 + seed * 5) % 19) - (isUnsigned(dtype) ? 0 : 9)
  }
  return hostFrom(
    dtype,
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => value(i)),
  )
}

/** A tensor of these values, a vector unless a shape is given. */
export function tensor(
  dtype: DType,
  values: readonly (number | bigint)[],
  shape: readonly number[] = [values.length],
): HostTensor {
  if (dtype === 'int64') return { dtype, shape, data: BigInt64Array.from(values, v => BigInt(v)) }
  return hostFrom(dtype, shape, values.map(Number))
}

/** Rows of n floats, [n + 1, n]: row p has a NaN at position p, the last row has none. */
export function diagonal(dtype: DType, n: number): HostTensor {
  const numbers = toNumbers(sample(dtype, [n + 1, n]))
  return tensor(
    dtype,
    numbers.map((v, i) => (Math.floor(i / n) === i % n ? NaN : v)),
    [n + 1, n],
  )
}

export const zeros = (dtype: DType, shape: readonly number[]): HostTensor => ({
  dtype,
  shape,
  data: allocate(dtype, sizeOf(shape)),
})

/** Edge cases of arithmetic: zeros of both signs, halves, infinities, NaN; the ends of the integers. */
export function specialValues(dtype: DType): (number | bigint)[] {
  switch (dtype) {
    case 'float32':
      // prettier-ignore
      return [
        0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3.7, 0.001, -30, 100, 3.4028234e38, 1.1754944e-38,
        Infinity, -Infinity, NaN,
      ]
    case 'float16':
      // prettier-ignore
      return [
        0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3.7, 0.001, -8, 100, 65504, 6.104e-5, 5.97e-8, Infinity,
        -Infinity, NaN,
      ]
    case 'bfloat16':
      // prettier-ignore
      return [
        0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3.7, 0.001, -30, 100, 3.38e38, 1.1754944e-38, Infinity,
        -Infinity, NaN,
      ]
    case 'int32':
      return [0, 1, -1, 2, -7, 7, 65537, 2147483647, -2147483648]
    case 'uint32':
      return [0, 1, 2, 7, 65537, 2147483647, 2147483648, 4294967295]
    case 'int64':
      return [0n, 1n, -1n, 7n, -7n, 2n ** 31n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n)]
    case 'bool':
      return [0, 1]
    case 'uint8':
      return [0, 1, 127, 128, 255]
    case 'int8':
      return [0, 1, -1, 127, -128]
    case 'uint16':
      return [0, 1, 32767, 32768, 65535]
  }
}

/** Every pair of the values, as two vectors. */
export function pairs(dtype: DType, xs: readonly (number | bigint)[], ys = xs): [HostTensor, HostTensor] {
  return [
    tensor(
      dtype,
      xs.flatMap(x => ys.map(() => x)),
    ),
    tensor(
      dtype,
      xs.flatMap(() => ys),
    ),
  ]
}

/** The same case with every operand broadcast along its first axis by a broadcastInDim. */
export function withBroadcastOperands<P extends PrimitiveName>({
  name,
  operands,
  params,
}: Case<P>): Case<P> | undefined {
  let changed = false
  const rows = operands.map(x => {
    if (x instanceof Literal || x instanceof Broadcast || x.shape.length === 0 || x.shape[0] < 2) return x
    changed = true
    const shape = [1, ...x.shape.slice(1)]
    return new Broadcast(
      { dtype: x.dtype, shape, data: x.data.slice(0, sizeOf(shape)) },
      x.shape,
      shape.map((_, i) => i),
    )
  })
  return changed ? { name: `${name}, operands broadcast`, operands: rows, params } : undefined
}

/** Whether an operand has a subnormal element. */
export function hasSubnormals(operand: Operand): boolean {
  const source = operand instanceof Broadcast ? operand.of : operand
  return !(source instanceof Literal) && isFloat(source.dtype) && toNumbers(source).some(isSubnormal)
}

export interface Batch {
  program: Program
  inputs: HostTensor[]
  /** How many outputs of the program belong to each case. */
  counts: number[]
}

/** Cases of one primitive as one program, one equation after the other. */
export function batch<P extends PrimitiveName>(primitive: P, cases: readonly Case<P>[]): Batch {
  const inputs: HostTensor[] = []
  for (const operand of cases.flatMap(c => c.operands)) {
    const source = operand instanceof Broadcast ? operand.of : operand
    if (!(source instanceof Literal)) inputs.push(source)
  }
  const counts: number[] = []
  const program = traceClosed(inputs, values => {
    let next = 0
    const sourceOf = (x: HostTensor | Literal): Value => (x instanceof Literal ? x : values[next++])
    const valueOf = (x: Operand): Value =>
      x instanceof Broadcast ? broadcastInDim(sourceOf(x.of), x.shape, x.dims) : sourceOf(x)
    return cases.flatMap(c => {
      const outputs = bind(primitive, c.operands.map(valueOf), c.params)
      counts.push(outputs.length)
      return outputs
    })
  })
  return { program, inputs, counts }
}
