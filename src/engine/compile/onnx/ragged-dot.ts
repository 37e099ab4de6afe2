import { hostFrom, partOf, sizeOf } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { range } from '../../program/ops.js'
import { allNodes, mapBodies, namesRead } from './nodes.js'
import { elementTypes } from './proto.js'
import type { Attribute, GraphInfo, InputPart, Node, ValueInfo } from './proto.js'

/**
 * The ragged product: a matrix product in which each group of rows has its own kernel. Inputs: x [rows, in], group
 * sizes (int64) [groups], and the kernels of all groups: one tensor [groups, in, out], or two if they are quantized
 * (integers and scales, see rules/composites.ts). ONNX has no such operator: rules write it as one node, which
 * `expandRaggedDots` replaces by ONNX's operators.
 */
export const RAGGED_DOT = 'RaggedDot'
/**
 * The product of each group's rows of x [rows, in], transposed, with its rows of y [rows, out]: the gradient of a
 * ragged product in its kernels. Inputs: x, group sizes (int64) [groups], y. `expandRaggedDots` replaces it too.
 */
export const RAGGED_OUTER = 'RaggedOuter'
/** The ONNX domain of operators that exist only until they are expanded. */
export const SWITCHYARD_DOMAIN = 'switchyard'

/**
 * Up to this many groups get one MatMul each, even if empty, which costs 1 us. With more, an `If` skips runs of empty
 * groups.
 */
const MOST_PRODUCTS = 8
/**
 * The most `If` nodes side by side: a skipped one costs 3 us. With more, they are nested: an outer `If` skips several
 * of them.
 */
const MOST_BRANCHES = 16

/**
 * Replaces ragged products by ONNX's operators: the rows are split by group, multiplied and concatenated. A kernel that
 * is a weight of the graph becomes one weight for each group, which ONNX Runtime packs. For 1 row as for 1,000 this is
 * 1.3 to 2 times as fast as ONNX Runtime's own operators for experts (com.microsoft.MoE and QMoE in version 1.30).
 */
export function expandRaggedDots(graph: GraphInfo): GraphInfo {
  return expand(graph, null)
}

/**
 * As `expandRaggedDots`, for a graph whose caller passes the parts of inputs (`GraphInfo.parts`): kernels that are
 * inputs, as in training, are read where they are. Otherwise each run copies the kernels of all groups.
 */
export function expandRaggedDotsInPlace(graph: GraphInfo): GraphInfo {
  const parts = new InputParts(graph.inputs)
  const expanded = expand(graph, parts)
  return { ...expanded, inputs: [...graph.inputs, ...parts.infos], parts: parts.list }
}

/** Collects the parts of inputs that a graph reads. */
class InputParts {
  readonly list: InputPart[] = []
  readonly infos: ValueInfo[] = []
  private readonly names = new Map<string, string>()

  constructor(private readonly inputs: readonly ValueInfo[]) {}

  /** The name of a part of an input; undefined if `name` is no input. */
  nameOf(name: string, index: number): string | undefined {
    const input = this.inputs.findIndex(info => info.name === name)
    if (input < 0) return undefined
    const key = `${name}_${index}`
    const known = this.names.get(key)
    if (known !== undefined) return known
    const part = `x${this.inputs.length + this.list.length}`
    this.names.set(key, part)
    this.list.push({ input, index })
    this.infos.push({ ...this.inputs[input], name: part, shape: this.inputs[input].shape.slice(1) })
    return part
  }
}

function expand(graph: GraphInfo, parts: InputParts | null): GraphInfo {
  const nodes = allNodes(graph.nodes)
  if (!nodes.some(({ domain }) => domain === SWITCHYARD_DOMAIN)) return graph
  // Kernels that only ragged products read: the weights of the groups replace them. A kernel that other nodes read
  // stays too.
  const replaced = new Set(nodes.filter(isRagged).flatMap(kernelsOf))
  for (const node of nodes) if (!isRagged(node)) node.inputs.forEach(name => replaced.delete(name))
  const weights = new Map([...(graph.weights ?? [])].filter(([name]) => !replaced.has(name)))
  const initializers = new Map(graph.initializers)
  const tensors: GraphTensors = { original: graph.weights ?? new Map(), weights, initializers, parts }
  return { ...graph, nodes: expandNodes(graph.nodes, graph.outputs, tensors), weights, initializers }
}

/** The constant tensors of a graph and its bodies. */
interface GraphTensors {
  /** The weights before the expansion, with the kernels of all groups in one tensor. */
  readonly original: ReadonlyMap<string, HostTensor>
  /** The weights and the other constants after the expansion. */
  readonly weights: Map<string, HostTensor>
  readonly initializers: Map<string, HostTensor>
  /** The parts of inputs, if they may be read in place. */
  readonly parts: InputParts | null
}

function expandNodes(nodes: readonly Node[], outputs: readonly ValueInfo[], tensors: GraphTensors): Node[] {
  const inRegion = new Map(
    regionsOf(nodes, outputs, tensors.initializers).flatMap(region => region.map(node => [node, region] as const)),
  )
  // A region is written at the position of its last node, where all that it reads has been computed.
  return nodes.flatMap(node => {
    const region = inRegion.get(node)
    if (node.domain === SWITCHYARD_DOMAIN && node.op === RAGGED_OUTER) return outerProducts(node, tensors)
    if (!region) return mapBodies(node, (inner, body) => expandNodes(inner, body.outputs, tensors))
    return node === region.at(-1) ? new Expansion(region, tensors).write() : []
  })
}

const isRagged = ({ domain, op }: Node): boolean => domain === SWITCHYARD_DOMAIN && op === RAGGED_DOT
const sizesOf = ({ inputs }: Node): string => inputs[1]
const kernelsOf = ({ inputs }: Node): readonly string[] => inputs.slice(2)

/** Operations that compute each element from the elements at the same position and from scalars. */
const elementwise: readonly string[] = [
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Neg',
  'Pow',
  'Sqrt',
  'Exp',
  'Erf',
  'Tanh',
  'Sigmoid',
  'Relu',
  'Gelu',
]

/**
 * Regions: lists of nodes that are computed or skipped together for each group. A region has all ragged products with
 * the same group sizes, and the nodes between them, such as the feed-forward networks of all experts. If a node between
 * them is not element-wise, or a result other than the last one's is read outside of the region, then each ragged
 * product is a region of its own.
 */
function regionsOf(
  nodes: readonly Node[],
  outputs: readonly ValueInfo[],
  initializers: GraphInfo['initializers'],
): Node[][] {
  const ragged = nodes.filter(isRagged)
  const isScalar = (name: string): boolean => {
    const tensor = initializers.get(name)
    return tensor !== undefined && sizeOf(tensor.shape) === 1
  }
  const canSkip = (region: readonly Node[]): boolean => {
    const made = new Set(region.flatMap(n => n.outputs))
    const readOutside = new Set([
      ...nodes.filter(n => !region.includes(n)).flatMap(namesRead),
      ...outputs.map(o => o.name),
    ])
    return region.every(
      n =>
        (isRagged(n) || (elementwise.includes(n.op) && n.inputs.every(name => made.has(name) || isScalar(name)))) &&
        (n === region.at(-1) || !n.outputs.some(name => readOutside.has(name))),
    )
  }
  return [...new Set(ragged.map(sizesOf))].flatMap(sizes => {
    const dots = ragged.filter(n => sizesOf(n) === sizes)
    const after = reached(
      nodes,
      new Set(dots.flatMap(n => n.outputs)),
      n => n.inputs,
      n => n.outputs,
    )
    const before = reached(
      nodes.toReversed(),
      new Set(dots.map(n => n.inputs[0])),
      n => n.outputs,
      n => n.inputs,
    )
    const region = nodes.filter(n => dots.includes(n) || (after.has(n) && before.has(n)))
    return canSkip(region) ? [region] : dots.map(dot => [dot])
  })
}

/**
 * The nodes that depend on the values `from`, directly or not. Takes nodes in execution order, and functions that give
 * the names that a node reads and makes. With reversed nodes and the two functions swapped, it gives the nodes on which
 * the values `from` depend.
 */
function reached(
  nodes: readonly Node[],
  from: ReadonlySet<string>,
  reads: (n: Node) => readonly string[],
  makes: (n: Node) => readonly string[],
): Set<Node> {
  const found = new Set<Node>()
  const values = new Set(from)
  for (const node of nodes) {
    if (!reads(node).some(name => values.has(name))) continue
    found.add(node)
    makes(node).forEach(name => values.add(name))
  }
  return found
}

/** Writes one region in ONNX's operators. */
class Expansion {
  /** The name of the region's result, and the prefix of all names in it. */
  private readonly out: string
  /** The name of the group sizes. */
  private readonly sizes: string
  /** The length of a row of the result. */
  private readonly outputWidth: number
  private readonly numGroups: number
  /** The values from outside the region whose rows are split by group. */
  private readonly inputs: readonly string[]

  constructor(
    private readonly region: readonly Node[],
    private readonly tensors: GraphTensors,
  ) {
    const last = region.at(-1)!
    const made = new Set(region.flatMap(n => n.outputs))
    ;[this.out] = last.outputs
    this.sizes = sizesOf(last)
    this.outputWidth = last.attributes.outputs as number
    this.numGroups = last.attributes.groups as number
    this.inputs = [...new Set(region.filter(isRagged).map(n => n.inputs[0]))].filter(name => !made.has(name))
  }

  write(): Node[] {
    const name = (part: string): string => `${this.out}_${part}`
    const groupedInputs = this.inputs.map((_, i) => name(`in${i}`))
    return [
      // There may be more rows than the groups have together. The rows after the last group give zeros.
      make('ReduceSum', [this.sizes], [name('groupedRows')], { keepdims: 1 }),
      make('Shape', [this.inputs[0]], [name('rows')], { start: 0, end: 1 }),
      make('Sub', [name('rows'), name('groupedRows')], [name('rest')]),
      make('Concat', [name('rest'), this.ints([this.outputWidth])], [name('zeroShape')], { axis: 0 }),
      make('ConstantOfShape', [name('zeroShape')], [name('zeros')]),
      make('Concat', [name('groupedRows'), name('rest')], [name('parts')], { axis: 0 }),
      ...this.inputs.map((x, i) =>
        make('Split', [x, name('parts')], [groupedInputs[i], name(`after${i}`)], { axis: 0 }),
      ),
      ...this.groups(groupedInputs, this.sizes, range(this.numGroups), name('y')),
      make('Concat', [name('y'), name('zeros')], [this.out], { axis: 0 }),
    ]
  }

  /**
   * Nodes that compute the region for some groups. `inputs` are the rows of these groups, `sizes` their sizes. Many
   * groups are divided into parts of `partLength` groups, each in the branch of an `If` that is skipped if its groups
   * have no rows. A part that still has many groups is divided again.
   */
  private groups(inputs: readonly string[], sizes: string, groups: readonly number[], out: string): Node[] {
    if (groups.length <= MOST_PRODUCTS) return this.products(inputs, sizes, groups, out)
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
      make('Concat', [sizes, ...(missing > 0 ? [this.ints(range(missing).map(() => 0))] : [])], [`${out}_filled`], {
        axis: 0,
      }),
      make('Reshape', [`${out}_filled`, this.ints([parts.length, partLength])], [`${out}_table`]),
      make('ReduceSum', [`${out}_table`, this.ints([1])], [`${out}_counts`], { keepdims: 0 }),
      make('Cast', [`${out}_counts`], [`${out}_hasRows`], { to: elementTypes.bool }),
      make('Split', [`${out}_hasRows`, this.ints(parts.map(() => 1))], hasRows, { axis: 0 }),
      make('Split', [sizes, this.ints(parts.map(part => part.length))], partSizes, { axis: 0 }),
      ...inputs.map((x, k) => make('Split', [x, `${out}_counts`], each(`in${k}_`), { axis: 0 })),
      ...parts.map((part, i) =>
        make('If', [hasRows[i]], [ys[i]], {
          then_branch: this.branch(`${ys[i]}_some`, name =>
            this.groups(
              inputs.map((_, k) => each(`in${k}_`)[i]),
              partSizes[i],
              part,
              name,
            ),
          ),
          else_branch: this.branch(`${ys[i]}_none`, name => [
            make('ConstantOfShape', [this.ints([0, this.outputWidth])], [name]),
          ]),
        }),
      ),
      make('Concat', ys, [out], { axis: 0 }),
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
        make(op, [rows[i], ...ofGroup.map(({ name }) => name)], [ys[i]], attributes, domain),
      ]
    })
    return [make('Split', [x, sizes], rows, { axis: 0 }), ...products, make('Concat', ys, [out], { axis: 0 })]
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
          make('Gather', [kernel, this.constant(`index_${group}`, hostFrom('int64', [], [group]))], [name], {
            axis: 0,
          }),
        ],
      }
    const weight = `${kernel}_of${group}`
    this.tensors.weights.set(weight, partOf(tensor, group))
    return { name: weight, nodes: [] }
  }

  private ints(values: readonly number[]): string {
    return ints(values, this.tensors)
  }

  private constant(name: string, tensor: HostTensor): string {
    return constant(name, tensor, this.tensors)
  }
}

/** One product for each group. A product of no rows is 0. */
function outerProducts(node: Node, tensors: GraphTensors): Node[] {
  const [x, sizes, y] = node.inputs
  const [out] = node.outputs
  const groups = range(node.attributes.groups as number)
  const each = (kind: string): string[] => groups.map(group => `${out}_${kind}${group}`)
  const [xs, ys, products, slabs] = [each('x'), each('y'), each('product'), each('slab')]
  const name = (part: string): string => `${out}_${part}`
  // The rows after the last group are split off: there may be more rows than the groups have together.
  return [
    make('ReduceSum', [sizes], [name('groupedRows')], { keepdims: 1 }),
    make('Shape', [x], [name('rows')], { start: 0, end: 1 }),
    make('Sub', [name('rows'), name('groupedRows')], [name('rest')]),
    make('Concat', [sizes, name('rest')], [name('parts')], { axis: 0 }),
    make('Split', [x, name('parts')], [...xs, name('xRest')], { axis: 0 }),
    make('Split', [y, name('parts')], [...ys, name('yRest')], { axis: 0 }),
    ...groups.flatMap(i => [
      make('FusedMatMul', [xs[i], ys[i]], [products[i]], { transA: 1 }, 'com.microsoft'),
      make('Unsqueeze', [products[i], ints([0], tensors)], [slabs[i]]),
    ]),
    make('Concat', slabs, [out], { axis: 0 }),
  ]
}

const ints = (values: readonly number[], tensors: GraphTensors): string =>
  constant(`ints_${values.join('_')}`, hostFrom('int64', [values.length], values), tensors)

function constant(name: string, tensor: HostTensor, { initializers }: GraphTensors): string {
  initializers.set(name, tensor)
  return name
}

const make = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Node['attributes'] = {},
  domain = '',
): Node => ({ op, domain, inputs, outputs, attributes })
