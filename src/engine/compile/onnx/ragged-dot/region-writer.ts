import { hostFrom, partOf } from '../../../../base/host-tensor.js'
import type { HostTensor } from '../../../../base/host-tensor.js'
import { partOfFile } from '../../../../base/stored-tensor.js'
import { range } from '../../../program/ops.js'
import { integerDot, quantizeRows } from '../integer-product/nodes.js'
import { makeNode } from '../nodes.js'
import { elementTypes, isInFile } from '../proto.js'
import type { Attribute, Node } from '../proto.js'
import { isRagged, kernelsOf, sizesOf } from './operators.js'
import { constant, ints } from './tensors.js'
import type { GraphTensors } from './tensors.js'

/**
 * Up to this many groups get one MatMul each, even if empty, which costs 1 us. With more, an `If` skips runs of empty
 * groups, unless that would be an `If` in a body: there, ONNX Runtime 1.30 does not pack weights.
 */
const MOST_PRODUCTS = 8
/**
 * The most `If` nodes side by side: a skipped one costs 3 us. With more, they are nested: an outer `If` skips several
 * of them.
 */
const MOST_BRANCHES = 16

/** Writes one region of ragged products (see regions.ts) in ONNX's operators. */
export class RegionWriter {
  /** The name of the region's result, and the prefix of all names in it. */
  private readonly out: string
  /** The name of the group sizes. */
  private readonly sizes: string
  /** The length of a row of the result. */
  private readonly outputWidth: number
  private readonly numGroups: number
  private readonly mostProducts: number
  /** The values from outside the region whose rows are split by group. */
  private readonly inputs: readonly string[]

  constructor(
    private readonly region: readonly Node[],
    private readonly tensors: GraphTensors,
    isBody: boolean,
  ) {
    const last = region.at(-1)!
    const made = new Set(region.flatMap(n => n.outputs))
    ;[this.out] = last.outputs
    this.sizes = sizesOf(last)
    this.outputWidth = last.attributes.outputs as number
    this.numGroups = last.attributes.groups as number
    const hasWeights = region.filter(isRagged).some(n => kernelsOf(n).some(kernel => tensors.original.has(kernel)))
    this.mostProducts = isBody && hasWeights ? Infinity : MOST_PRODUCTS
    this.inputs = [...new Set(region.filter(isRagged).map(n => n.inputs[0]))].filter(name => !made.has(name))
  }

  write(): Node[] {
    const name = (part: string): string => `${this.out}_${part}`
    const groupedInputs = this.inputs.map((_, i) => name(`in${i}`))
    return [
      // There may be more rows than the groups have together. The rows after the last group give zeros.
      makeNode('ReduceSum', [this.sizes], [name('groupedRows')], { keepdims: 1 }),
      makeNode('Shape', [this.inputs[0]], [name('rows')], { start: 0, end: 1 }),
      makeNode('Sub', [name('rows'), name('groupedRows')], [name('rest')]),
      makeNode('Concat', [name('rest'), this.ints([this.outputWidth])], [name('zeroShape')], { axis: 0 }),
      makeNode('ConstantOfShape', [name('zeroShape')], [name('zeros')]),
      makeNode('Concat', [name('groupedRows'), name('rest')], [name('parts')], { axis: 0 }),
      ...this.inputs.map((x, i) =>
        makeNode('Split', [x, name('parts')], [groupedInputs[i], name(`after${i}`)], { axis: 0 }),
      ),
      ...this.groups(groupedInputs, this.sizes, range(this.numGroups), name('y')),
      makeNode('Concat', [name('y'), name('zeros')], [this.out], { axis: 0 }),
    ]
  }

  /**
   * Nodes that compute the region for some groups. `inputs` are the rows of these groups, `sizes` their sizes. Many
   * groups are divided into parts of `partLength` groups, each in the branch of an `If` that is skipped if its groups
   * have no rows. A part that still has many groups is divided again.
   */
  private groups(inputs: readonly string[], sizes: string, groups: readonly number[], out: string): Node[] {
    if (groups.length <= this.mostProducts) return this.products(inputs, sizes, groups, out)
    // MOST_PRODUCTS times the smallest power of MOST_BRANCHES that leaves at most MOST_BRANCHES parts.
    let partLength = MOST_PRODUCTS
    while (partLength * MOST_BRANCHES < groups.length) partLength *= MOST_BRANCHES
    const parts = range(Math.ceil(groups.length / partLength)).map(i =>
      groups.slice(i * partLength, (i + 1) * partLength),
    )
    const each = (kind: string): string[] => parts.map((_, i) => `${out}_${kind}${i}`)
    // For each part: its group sizes, whether it has any rows, and its result.
    const [partSizes, hasRows, ys] = [each('sizes'), each('hasRows'), each('y')]
    const missing = parts.length * partLength - groups.length
    return [
      makeNode('Concat', [sizes, ...(missing > 0 ? [this.ints(range(missing).map(() => 0))] : [])], [`${out}_filled`], {
        axis: 0,
      }),
      makeNode('Reshape', [`${out}_filled`, this.ints([parts.length, partLength])], [`${out}_table`]),
      makeNode('ReduceSum', [`${out}_table`, this.ints([1])], [`${out}_counts`], { keepdims: 0 }),
      makeNode('Cast', [`${out}_counts`], [`${out}_hasRows`], { to: elementTypes.bool }),
      makeNode('Split', [`${out}_hasRows`, this.ints(parts.map(() => 1))], hasRows, { axis: 0 }),
      makeNode('Split', [sizes, this.ints(parts.map(part => part.length))], partSizes, { axis: 0 }),
      ...inputs.map((x, k) => makeNode('Split', [x, `${out}_counts`], each(`in${k}_`), { axis: 0 })),
      ...parts.map((part, i) =>
        makeNode('If', [hasRows[i]], [ys[i]], {
          then_branch: this.branch(`${ys[i]}_some`, name =>
            this.groups(
              inputs.map((_, k) => each(`in${k}_`)[i]),
              partSizes[i],
              part,
              name,
            ),
          ),
          else_branch: this.branch(`${ys[i]}_none`, name => [
            makeNode('ConstantOfShape', [this.ints([0, this.outputWidth])], [name]),
          ]),
        }),
      ),
      makeNode('Concat', ys, [out], { axis: 0 }),
    ]
  }

  /** A branch of an `If`. */
  private branch(output: string, write: (output: string) => Node[]): Attribute {
    const info = { name: output, dtype: 'float32' as const, shape: [`${output}_rows`, this.outputWidth] }
    return { graph: { nodes: write(output), initializers: new Map(), inputs: [], outputs: [info] } }
  }

  /** The region's nodes for some groups: each ragged product as one matrix product for each group. */
  private products(inputs: readonly string[], sizes: string, groups: readonly number[], out: string): Node[] {
    const names = new Map(this.inputs.map((x, i) => [x, inputs[i]]))
    return this.region.flatMap(node => {
      const made = node === this.region.at(-1) ? out : `${out}_${node.outputs[0]}`
      const nodes = isRagged(node)
        ? this.product(node, names.get(node.inputs[0])!, sizes, groups, made)
        : [{ ...node, inputs: node.inputs.map(name => names.get(name) ?? name), outputs: [made] }]
      names.set(node.outputs[0], made)
      return nodes
    })
  }

  /** One ragged product. */
  private product(node: Node, x: string, sizes: string, groups: readonly number[], out: string): Node[] {
    if (node.attributes.integers) return this.integerProduct(node, x, sizes, groups, out)
    // The attributes of a ragged product include those of the product of one group.
    const { groups: _, outputs: __, ...attributes } = node.attributes
    const kernels = kernelsOf(node)
    const [op, domain] =
      kernels.length > 1
        ? ['MatMulNBits', 'com.microsoft']
        : attributes.transB
          ? ['FusedMatMul', 'com.microsoft']
          : ['MatMul', '']
    const [rows, ys] = ['x', 'y'].map(kind => groups.map(group => `${out}_${kind}${group}`))
    const products = groups.flatMap((group, i) => {
      const ofGroup = kernels.map((kernel, k) => this.kernelOf(kernel, group, `${out}_kernel${k}_of${group}`))
      return [
        ...ofGroup.flatMap(({ nodes }) => nodes),
        makeNode(op, [rows[i], ...ofGroup.map(({ name }) => name)], [ys[i]], attributes, domain),
      ]
    })
    return [makeNode('Split', [x, sizes], rows, { axis: 0 }), ...products, makeNode('Concat', ys, [out], { axis: 0 })]
  }

  /** One ragged product of integers. All rows are rounded by the same nodes. */
  private integerProduct(node: Node, x: string, sizes: string, groups: readonly number[], out: string): Node[] {
    const isRelu = this.region.some(({ op, outputs }) => op === 'Relu' && outputs[0] === node.inputs[0])
    const { nodes, integers, largest } = quantizeRows({ name: x, axis: 1, isRelu }, `${out}_rounded`, this.tensors)
    const [rows, ys] = ['x', 'y'].map(kind => groups.map(group => `${out}_${kind}${group}`))
    const products = groups.flatMap((group, i) => {
      const ofGroup = kernelsOf(node).map((kernel, k) => this.kernelOf(kernel, group, `${out}_kernel${k}_of${group}`))
      const names = ofGroup.map(({ name }) => name)
      return [
        ...ofGroup.flatMap(kernel => kernel.nodes),
        ...integerDot(rows[i], names, ys[i], false, this.tensors.signed, this.tensors),
      ]
    })
    return [
      ...nodes,
      makeNode('Split', [integers, sizes], rows, { axis: 0 }),
      ...products,
      makeNode('Concat', ys, [`${out}_sums`], { axis: 0 }),
      makeNode('Mul', [`${out}_sums`, largest], [out]),
    ]
  }

  /**
   * One group's kernel: a weight of its own, a part of an input, or, if the kernels are computed, a Gather at run time.
   */
  private kernelOf(kernel: string, group: number, name: string): { name: string; nodes: Node[] } {
    const tensor = this.tensors.original.get(kernel)
    const part = tensor ? undefined : this.tensors.parts?.nameOf(kernel, group)
    if (part !== undefined) return { name: part, nodes: [] }
    if (!tensor)
      return {
        name,
        nodes: [
          makeNode('Gather', [kernel, this.constant(`index_${group}`, hostFrom('int64', [], [group]))], [name], {
            axis: 0,
          }),
        ],
      }
    const weight = `${kernel}_of${group}`
    this.tensors.weights.set(weight, isInFile(tensor) ? partOfFile(tensor, group) : partOf(tensor, group))
    return { name: weight, nodes: [] }
  }

  private ints(values: readonly number[]): string {
    return ints(values, this.tensors)
  }

  private constant(name: string, tensor: HostTensor): string {
    return constant(name, tensor, this.tensors)
  }
}
