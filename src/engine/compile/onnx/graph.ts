import { bytesOf, hostFrom } from '../../../base/host-tensor.js'
import type { DType } from '../../../base/dtypes.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { sameShape } from '../../program/aval.js'
import { isBody, namesRead, renameNode } from './nodes.js'
import { elementTypes } from './proto.js'
import type { Attribute, ElementType, GraphInfo, Node } from './proto.js'

/**
 * A value in the graph. `shape` is the one it has there: a broadcast value keeps axes of length 1 until an operation
 * needs it whole, since ONNX's element-wise operations broadcast by themselves.
 */
export interface Lowered {
  name: string
  dtype: ElementType
  shape: readonly number[]
}

type Attributes = { [name: string]: Attribute }

/** Whether a bound on the operand's elements also holds for the result: these operations and casts keep each element. */
const keepsBound = (op: string, dtype: ElementType): boolean =>
  ['Expand', 'Reshape', 'Transpose'].includes(op) || (op === 'Cast' && ['int32', 'uint32', 'int64'].includes(dtype))

/**
 * Types that a BitCast reads. A Transpose whose result goes to a BitCast and, through a Cast to float32, to a MatMul ends the
 * process in ONNX Runtime 1.30 (MatmulTransposeFusion, which wants to swap the Transpose and the Cast): they are written swapped.
 */
const bitCastTypes: ReadonlySet<ElementType> = new Set<ElementType>(['float16', 'bfloat16', 'int32', 'uint32'])

/** A graph being written. Constants are shared. Names are unique among a graph and the subgraphs of its nodes. */
export class GraphWriter {
  readonly nodes: Node[] = []
  readonly initializers = new Map<string, HostTensor>()
  private readonly makers = new Map<string, Node>()
  private readonly made = new Map<string, Lowered>()
  private readonly constants = new Map<string, Lowered>()
  private readonly indexNodes = new Map<string, Lowered[]>()
  private readonly bounds = new Map<string, number>()
  private count = 0

  /** `outer`: the graph in which this one is the body of a node; it sees that graph's values. */
  constructor(private readonly outer?: GraphWriter) {}

  fresh(): string {
    return this.outer ? this.outer.fresh() : `v${this.count++}`
  }

  /** Adds a node with one output of the given type. */
  node(
    op: string,
    inputs: readonly Lowered[],
    dtype: ElementType,
    shape: readonly number[],
    attributes: Attributes = {},
    domain = '',
  ): Lowered {
    return this.several(op, inputs, [{ dtype, shape }], attributes, domain)[0]
  }

  /** Adds a node with several outputs. An input that is left out is null. */
  several(
    op: string,
    inputs: readonly (Lowered | null)[],
    outputs: readonly Omit<Lowered, 'name'>[],
    attributes: Attributes = {},
    domain = '',
  ): Lowered[] {
    // Rules often repeat the same arithmetic on indices: equal int64 nodes are written once. Not floats, which may be computed twice on
    // purpose (see optimizationBarrier), and not Identity, which gives a value a second name.
    const isPlain = op !== 'Identity' && !Object.values(attributes).some(isBody)
    const key =
      isPlain && outputs.every(o => o.dtype === 'int64')
        ? JSON.stringify([op, domain, inputs.map(i => i?.name), attributes])
        : undefined
    const same = key === undefined ? undefined : this.indexNodes.get(key)
    if (same) return same
    const named = outputs.map(o => ({ ...o, name: this.fresh() }))
    const node = { op, domain, inputs: inputs.map(i => i?.name ?? ''), outputs: named.map(o => o.name), attributes }
    this.nodes.push(node)
    for (const o of named) {
      this.makers.set(o.name, node)
      this.made.set(o.name, o)
    }
    const bound = keepsBound(op, outputs[0].dtype) && inputs[0] ? this.bounds.get(inputs[0].name) : undefined
    if (bound !== undefined) this.bounds.set(named[0].name, bound)
    if (key !== undefined) this.indexNodes.set(key, named)
    return named
  }

  /** The body of a node, as an attribute: `write` gets a graph of its own and the body's inputs, and returns its outputs. */
  body(inputs: readonly Omit<Lowered, 'name'>[], write: (g: GraphWriter, inputs: Lowered[]) => Lowered[]): Attribute {
    const g = new GraphWriter(this)
    const named = inputs.map(i => ({ ...i, name: this.fresh() }))
    const outputs = write(g, named).map(o => g.node('Identity', [o], o.dtype, o.shape))
    return { graph: { nodes: g.nodes, initializers: g.initializers, inputs: named, outputs } }
  }

  /** Records that a value's elements are integers from 0 to `bound` - 1, and returns the value. */
  bounded(x: Lowered, bound: number): Lowered {
    this.bounds.set(x.name, bound)
    return x
  }

  /** Exclusive upper bound of a non-negative integer value, if known. */
  boundOf(x: Lowered): number | undefined {
    return this.bounds.get(x.name)
  }

  /** The node of this graph that makes a value. */
  madeBy(x: Lowered): Node | undefined {
    return this.makers.get(x.name)
  }

  constant(tensor: HostTensor): Lowered {
    if (this.outer) return this.outer.constant(tensor)
    const small = tensor.data.length <= 64
    const key = `${tensor.dtype} ${tensor.shape} ${small ? bytesOf(tensor).join() : this.count}`
    let c = this.constants.get(key)
    if (!c) {
      // A model's initializers may not be bfloat16 everywhere: such a constant is written as its bits.
      const bits = tensor.dtype === 'bfloat16' ? { ...tensor, dtype: 'uint16' as const } : tensor
      const name = this.fresh()
      this.initializers.set(name, bits)
      c = { name, dtype: bits.dtype, shape: tensor.shape }
      if (bits !== tensor) c = this.bitcast(c, 'bfloat16')
      this.constants.set(key, c)
    }
    return c
  }

  private constantOf(x: Lowered): HostTensor | undefined {
    return this.outer ? this.outer.constantOf(x) : this.initializers.get(x.name)
  }

  numbers(dtype: DType, shape: readonly number[], values: readonly number[]): Lowered {
    return this.constant(hostFrom(dtype, shape, values))
  }

  scalar(dtype: DType, value: number): Lowered {
    return this.numbers(dtype, [], [value])
  }

  /** A shape, axes or sizes operand: a vector of int64. */
  ints(values: readonly number[]): Lowered {
    return this.numbers('int64', [values.length], values)
  }

  /** Reshapes; what was only reshaped before is reshaped once, or not at all, and a number here. */
  reshape(x: Lowered, shape: readonly number[]): Lowered {
    const from = this.beforeReshape(x)
    const number = from.shape.length === 0 ? this.constantOf(from) : undefined
    if (number) return this.constant({ ...number, shape })
    return sameShape(from.shape, shape)
      ? from
      : this.node('Reshape', [from, this.ints(shape)], x.dtype, shape, { allowzero: 1 })
  }

  /** The value that a reshaped one was. */
  beforeReshape(x: Lowered): Lowered {
    const maker = this.makers.get(x.name)
    const from = maker?.op === 'Reshape' ? this.made.get(maker.inputs[0]) : undefined
    return from ?? x
  }

  /** The value with every axis at its full length. */
  expand(x: Lowered, shape: readonly number[]): Lowered {
    if (sameShape(x.shape, shape)) return x
    if (x.dtype === 'bfloat16') return this.bitcast(this.expand(this.bitcast(x, 'uint16'), shape), 'bfloat16')
    return this.node('Expand', [x, this.ints(shape)], x.dtype, shape)
  }

  /** Transposes; what was only transposed before is transposed once, or not at all. */
  transpose(x: Lowered, perm: readonly number[]): Lowered {
    if (perm.every((p, i) => p === i)) return x
    const maker = this.makers.get(x.name)
    if (maker?.op !== 'Transpose')
      return this.node(
        'Transpose',
        [x],
        x.dtype,
        perm.map(p => x.shape[p]),
        { perm },
      )
    const before = maker.attributes.perm as readonly number[]
    const shape = before.map((_, i) => x.shape[before.indexOf(i)])
    return this.transpose(
      { name: maker.inputs[0], dtype: x.dtype, shape },
      perm.map(p => before[p]),
    )
  }

  /** Casts; what was cast from that type before, and fits both, is not cast at all. */
  cast(x: Lowered, dtype: ElementType): Lowered {
    if (x.dtype === dtype) return x
    const maker = this.bounds.has(x.name) ? this.madeBy(this.beforeReshape(x)) : undefined
    const from = maker?.op === 'Cast' ? this.made.get(maker.inputs[0]) : undefined
    if (from?.dtype === dtype) return this.reshape(from, x.shape)
    const transposed = this.madeBy(x)
    if (transposed?.op === 'Transpose' && dtype === 'float32' && bitCastTypes.has(x.dtype)) {
      const perm = transposed.attributes.perm as readonly number[]
      const shape = perm.map((_, i) => x.shape[perm.indexOf(i)])
      return this.transpose(this.cast({ name: transposed.inputs[0], dtype: x.dtype, shape }, dtype), perm)
    }
    return this.node('Cast', [x], dtype, x.shape, { to: elementTypes[dtype] })
  }

  /** The same bits as another type of the same width. (Bytes have no BitCast; their Cast wraps, which is the same.) */
  bitcast(x: Lowered, dtype: ElementType): Lowered {
    const bytes = ['bool', 'int8', 'uint8'].includes(dtype)
    return x.dtype === dtype
      ? x
      : bytes
        ? this.cast(x, dtype)
        : this.node('BitCast', [x], dtype, x.shape, { to: elementTypes[dtype] })
  }

  /**
   * The graph with these inputs and outputs, and the types of the values that its nodes make. An output gives its name to the value
   * itself; only an output that is an input, a constant or a second name of one value gets an Identity node.
   */
  finish(
    inputs: readonly Lowered[],
    outputs: readonly { name: string; value: Lowered }[],
  ): { graph: GraphInfo; types: ReadonlyMap<string, Lowered> } {
    const renamed = new Map<string, string>()
    const copies: Node[] = []
    const types = new Map(this.made)
    for (const { name, value } of outputs) {
      if (this.made.has(value.name) && !renamed.has(value.name)) renamed.set(value.name, name)
      else copies.push({ op: 'Identity', domain: '', inputs: [value.name], outputs: [name], attributes: {} })
      types.set(name, { ...value, name })
    }
    const nodes = withoutDeadNodes(
      [...this.nodes, ...copies].map(n => renameNode(n, renamed)),
      outputs.map(o => o.name),
    )
    const named = outputs.map(({ name, value }) => ({ ...value, name }))
    return { graph: { nodes, initializers: this.initializers, inputs, outputs: named }, types }
  }
}

/** Drops nodes whose results nothing reads: a rule may have replaced its operand by what that was made of. */
function withoutDeadNodes(nodes: readonly Node[], outputs: readonly string[]): Node[] {
  const needed = new Set(outputs)
  return nodes
    .toReversed()
    .filter(node => {
      const alive = node.outputs.some(name => needed.has(name))
      if (alive) namesRead(node).forEach(name => needed.add(name))
      return alive
    })
    .toReversed()
}
