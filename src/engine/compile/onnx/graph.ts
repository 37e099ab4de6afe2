import type { DType } from '../../../base/dtypes.js'
import { hostFrom } from '../../../base/tensor.js'
import type { HostTensor } from '../../../base/tensor.js'
import { sameShape } from '../../program/aval.js'
import { elementTypes } from './proto.js'
import type { Attribute, Node } from './proto.js'

/**
 * A value in the graph. `shape` is the one it has there: a broadcast value keeps axes of length 1 until an operation
 * needs it whole, since ONNX's element-wise operations broadcast by themselves.
 */
export interface Lowered {
  name: string
  dtype: DType
  shape: readonly number[]
}

/** A graph being written. Constants are shared. */
export class GraphWriter {
  readonly nodes: Node[] = []
  readonly initializers = new Map<string, HostTensor>()
  private readonly constants = new Map<string, Lowered>()
  private count = 0

  fresh(): string { return `v${this.count++}` }

  /** Adds a node with one output of the given type. */
  node(op: string, inputs: readonly Lowered[], dtype: DType, shape: readonly number[], attributes: { [name: string]: Attribute } = {}, domain = ''): Lowered {
    const name = this.fresh()
    this.nodes.push({ op, domain, inputs: inputs.map(i => i.name), outputs: [name], attributes })
    return { name, dtype, shape }
  }

  /** Adds a node with several outputs. */
  several(op: string, inputs: readonly Lowered[], outputs: readonly Omit<Lowered, 'name'>[], attributes: { [name: string]: Attribute } = {}): Lowered[] {
    const named = outputs.map(o => ({ ...o, name: this.fresh() }))
    this.nodes.push({ op, domain: '', inputs: inputs.map(i => i.name), outputs: named.map(o => o.name), attributes })
    return named
  }

  constant(tensor: HostTensor): Lowered {
    const small = tensor.data.length <= 64
    const key = `${tensor.dtype} ${tensor.shape} ${small ? Array.from(tensor.data as ArrayLike<number>).join() : this.count}`
    let c = this.constants.get(key)
    if (!c) {
      c = { name: this.fresh(), dtype: tensor.dtype, shape: tensor.shape }
      this.initializers.set(c.name, tensor)
      this.constants.set(key, c)
    }
    return c
  }

  numbers(dtype: DType, shape: readonly number[], values: readonly number[]): Lowered {
    return this.constant(hostFrom(dtype, shape, values))
  }

  scalar(dtype: DType, value: number): Lowered { return this.numbers(dtype, [], [value]) }

  /** A shape, axes or sizes operand: a vector of int64. */
  ints(values: readonly number[]): Lowered { return this.numbers('int64', [values.length], values) }

  reshape(x: Lowered, shape: readonly number[]): Lowered {
    return sameShape(x.shape, shape) ? x : this.node('Reshape', [x, this.ints(shape)], x.dtype, shape, { allowzero: 1 })
  }

  /** The value with every axis at its full length. */
  expand(x: Lowered, shape: readonly number[]): Lowered {
    return sameShape(x.shape, shape) ? x : this.node('Expand', [x, this.ints(shape)], x.dtype, shape)
  }

  transpose(x: Lowered, perm: readonly number[]): Lowered {
    return perm.every((p, i) => p === i) ? x : this.node('Transpose', [x], x.dtype, perm.map(p => x.shape[p]), { perm })
  }

  cast(x: Lowered, dtype: DType): Lowered {
    return x.dtype === dtype ? x : this.node('Cast', [x], dtype, x.shape, { to: elementTypes[dtype] })
  }
}
