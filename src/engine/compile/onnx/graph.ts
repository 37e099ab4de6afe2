import { bytesOf, hostFrom, toNumbers } from '../../../base/host-tensor.js'
import { isInteger } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { sameShape } from '../../program/aval.js'
import { inversePermutation } from '../../program/ops.js'
import { isBody, renameNode, withoutDeadNodes } from './nodes.js'
import { elementTypes } from './proto.js'
import type { Attribute, ElementType, GraphInfo, Node } from './proto.js'

/**
 * A value of the ONNX graph. Its `shape` in the graph may differ from that of the program's value: a broadcast value
 * keeps axes of length 1 until an operation needs all its elements, since ONNX's element-wise operations broadcast
 * their operands.
 */
export interface Lowered {
  name: string
  dtype: ElementType
  shape: readonly number[]
}

type Attributes = { [name: string]: Attribute }

/**
 * Whether the result of an operation holds just the operand's integers, so that their exclusive upper bound (see
 * `GraphWriter.bounds`) holds for the result too.
 */
const keepsBound = (op: string, dtype: ElementType): boolean =>
  ['Expand', 'Reshape', 'Transpose'].includes(op) || (op === 'Cast' && ['int32', 'uint32', 'int64'].includes(dtype))

/**
 * Types whose values are cast to float32 before a Transpose instead of after it: those that a BitCast may read. ONNX
 * Runtime 1.30 crashes the process on a Transpose with two readers, a BitCast and a Cast to float32 that feeds a
 * MatMul, because its MatmulTransposeFusion fails to swap the Transpose and the Cast.
 */
const castBeforeTranspose: ReadonlySet<ElementType> = new Set<ElementType>(['float16', 'bfloat16', 'int32', 'uint32'])

/** A graph being written. Constants are shared. Names are unique among a graph and the subgraphs of its nodes. */
export class GraphWriter {
  readonly nodes: Node[] = []
  readonly initializers = new Map<string, HostTensor>()
  /** The node that computes each value, by the value's name. */
  private readonly makers = new Map<string, Node>()
  /** The values that nodes compute, by name. */
  private readonly made = new Map<string, Lowered>()
  /** Constants by type, shape and data. */
  private readonly constants = new Map<string, Lowered>()
  /** The outputs of nodes that compute int64 values, by operation and operands, so that equal ones are written once. */
  private readonly int64Nodes = new Map<string, Lowered[]>()
  /** Exclusive upper bounds of non-negative integer values, by name. */
  private readonly bounds = new Map<string, number>()
  private count = 0

  /**
   * `outer`: if this graph is the body of a node, the graph of that node, whose values the body can read.
   * `servesAllSizes`: whether lengths of axes may be others when the graph runs, even 0 (see generalize.ts).
   */
  constructor(
    private readonly outer?: GraphWriter,
    readonly servesAllSizes: boolean = outer?.servesAllSizes ?? false,
  ) {}

  /** A new name. */
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

  /** Adds a node with several outputs. null stands for an optional input that is omitted. */
  several(
    op: string,
    inputs: readonly (Lowered | null)[],
    outputs: readonly Omit<Lowered, 'name'>[],
    attributes: Attributes = {},
    domain = '',
  ): Lowered[] {
    // Lowering rules (rules/, one for each primitive) often repeat the same arithmetic on indices, so equal int64 nodes
    // are written once. Float nodes are not shared, since a program may compute a value twice on purpose (see
    // optimizationBarrier), nor is Identity, which gives a value a second name.
    const mayShare = op !== 'Identity' && !Object.values(attributes).some(isBody)
    const key =
      mayShare && outputs.every(o => o.dtype === 'int64')
        ? JSON.stringify([op, domain, inputs.map(i => i?.name), attributes])
        : undefined
    const same = key === undefined ? undefined : this.int64Nodes.get(key)
    if (same) return same
    const named = outputs.map(o => ({ ...o, name: this.fresh() }))
    const node = { op, domain, inputs: inputs.map(i => i?.name ?? ''), outputs: named.map(o => o.name), attributes }
    this.nodes.push(node)
    for (const o of named) {
      this.makers.set(o.name, node)
      this.made.set(o.name, o)
    }
    const bound = keepsBound(op, outputs[0].dtype) && inputs[0] ? this.boundOf(inputs[0]) : undefined
    if (bound !== undefined) this.bounds.set(named[0].name, bound)
    if (key !== undefined) this.int64Nodes.set(key, named)
    return named
  }

  /**
   * The body of a node, as an attribute. `write` gets the body's graph and inputs, writes its nodes and returns its
   * outputs.
   */
  body(inputs: readonly Omit<Lowered, 'name'>[], write: (g: GraphWriter, inputs: Lowered[]) => Lowered[]): Attribute {
    const g = new GraphWriter(this)
    const named = inputs.map(i => ({ ...i, name: this.fresh() }))
    const outputs = write(g, named).map(o => g.node('Identity', [o], o.dtype, o.shape))
    const nodes = withoutDeadNodes(
      g.nodes,
      outputs.map(o => o.name),
    )
    return { graph: { nodes, initializers: g.initializers, inputs: named, outputs } }
  }

  /** Records that a value's elements are integers from 0 to `bound` - 1, and returns the value. */
  bounded(x: Lowered, bound: number): Lowered {
    this.bounds.set(x.name, bound)
    return x
  }

  /** Exclusive upper bound of a non-negative integer value, if known. */
  boundOf(x: Lowered): number | undefined {
    return this.bounds.get(x.name) ?? (x.dtype === 'bool' ? 2 : undefined)
  }

  /** The value of a constant that is one integer. */
  integerOf(x: Lowered): number | undefined {
    const constant = x.shape.every(length => length === 1) ? this.constantOf(x) : undefined
    return constant && isInteger(constant.dtype) ? toNumbers(constant)[0] : undefined
  }

  /** The node of this graph that computes a value; undefined for inputs, constants and values of the outer graph. */
  madeBy(x: Lowered): Node | undefined {
    return this.makers.get(x.name)
  }

  /**
   * A constant. Small ones with equal data are shared; large ones would take long to compare, so each gets a key of its
   * own.
   */
  constant(tensor: HostTensor): Lowered {
    if (this.outer) return this.outer.constant(tensor)
    const small = tensor.data.length <= 64
    const key = `${tensor.dtype} ${tensor.shape} ${small ? bytesOf(tensor).join() : this.count}`
    let c = this.constants.get(key)
    if (!c) {
      // ONNX Runtime does not accept bfloat16 initializers in all places, so a bfloat16 constant is written as its
      // bits.
      const bits = tensor.dtype === 'bfloat16' ? { ...tensor, dtype: 'uint16' as const } : tensor
      const name = this.fresh()
      this.initializers.set(name, bits)
      c = { name, dtype: bits.dtype, shape: tensor.shape }
      if (bits !== tensor) c = this.bitcast(c, 'bfloat16')
      this.constants.set(key, c)
    }
    return c
  }

  /** The data of a constant. */
  private constantOf(x: Lowered): HostTensor | undefined {
    return this.outer ? this.outer.constantOf(x) : this.initializers.get(x.name)
  }

  /** A constant from a list of numbers. */
  numbers(dtype: DType, shape: readonly number[], values: readonly number[]): Lowered {
    return this.constant(hostFrom(dtype, shape, values))
  }

  scalar(dtype: DType, value: number): Lowered {
    return this.numbers(dtype, [], [value])
  }

  /** A constant vector of int64, such as a shape or a list of axes. */
  ints(values: readonly number[]): Lowered {
    return this.numbers('int64', [values.length], values)
  }

  /**
   * Reshapes. Successive reshapes become one, or none if they cancel; a scalar constant is reshaped at once, without a
   * node.
   */
  reshape(x: Lowered, shape: readonly number[]): Lowered {
    const from = this.beforeReshape(x)
    const scalar = from.shape.length === 0 ? this.constantOf(from) : undefined
    if (scalar) return this.constant({ ...scalar, shape })
    return sameShape(from.shape, shape)
      ? from
      : this.node('Reshape', [from, this.ints(shape)], x.dtype, shape, { allowzero: 1 })
  }

  /** If a Reshape node of this graph computes the value, the operand of that node; otherwise the value itself. */
  beforeReshape(x: Lowered): Lowered {
    const maker = this.makers.get(x.name)
    const from = maker?.op === 'Reshape' ? this.made.get(maker.inputs[0]) : undefined
    return from ?? x
  }

  /** If a Transpose node of this graph computes a matrix, the operand of that node. */
  beforeTranspose(x: Lowered): Lowered | undefined {
    const maker = this.makers.get(x.name)
    if (maker?.op !== 'Transpose' || x.shape.length !== 2) return undefined
    return { name: maker.inputs[0], dtype: x.dtype, shape: x.shape.toReversed() }
  }

  /** The value, broadcast to its full shape. */
  expand(x: Lowered, shape: readonly number[]): Lowered {
    if (sameShape(x.shape, shape)) return x
    // To ONNX Runtime's Expand, a length of 0 means that of the operand.
    if (shape.includes(0)) return this.cast(this.numbers('int32', shape, []), x.dtype)
    if (x.dtype === 'bfloat16') return this.bitcast(this.expand(this.bitcast(x, 'uint16'), shape), 'bfloat16')
    return this.node('Expand', [x, this.ints(shape)], x.dtype, shape)
  }

  /** Transposes. Successive transpositions become one, or none if they cancel. */
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
    const earlier = maker.attributes.perm as readonly number[]
    const shape = inversePermutation(earlier).map(i => x.shape[i])
    return this.transpose(
      { name: maker.inputs[0], dtype: x.dtype, shape },
      perm.map(p => earlier[p]),
    )
  }

  /**
   * Casts. A cast back to the type from which the value was cast is dropped if the value is an index with a known
   * bound, since indices below an axis length fit in both types.
   */
  cast(x: Lowered, dtype: ElementType): Lowered {
    if (x.dtype === dtype) return x
    const maker = this.bounds.has(x.name) ? this.madeBy(this.beforeReshape(x)) : undefined
    const from = maker?.op === 'Cast' ? this.made.get(maker.inputs[0]) : undefined
    if (from?.dtype === dtype) return this.reshape(from, x.shape)
    const transposed = this.madeBy(x) // see `castBeforeTranspose`
    if (transposed?.op === 'Transpose' && dtype === 'float32' && castBeforeTranspose.has(x.dtype)) {
      const perm = transposed.attributes.perm as readonly number[]
      const shape = inversePermutation(perm).map(i => x.shape[i])
      return this.transpose(this.cast({ name: transposed.inputs[0], dtype: x.dtype, shape }, dtype), perm)
    }
    return this.node('Cast', [x], dtype, x.shape, { to: elementTypes[dtype] })
  }

  /**
   * The same bits as another type of the same width. ONNX Runtime has no BitCast to types of one byte. Cast gives the
   * same bits there: it wraps between int8 and uint8, and only the bytes 0 and 1 may become bool (see primitives.ts).
   */
  bitcast(x: Lowered, dtype: ElementType): Lowered {
    const bytes = ['bool', 'int8', 'uint8'].includes(dtype)
    return x.dtype === dtype
      ? x
      : bytes
        ? this.cast(x, dtype)
        : this.node('BitCast', [x], dtype, x.shape, { to: elementTypes[dtype] })
  }

  /**
   * The graph with these inputs and outputs, and the types of the values that its nodes compute. A value that is an
   * output is renamed to the output's name. An output that is an input, a constant or already another output gets an
   * Identity node instead.
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
