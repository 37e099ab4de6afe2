import { sizeOf } from '../../../../base/host-tensor.js'
import { namesRead } from '../nodes.js'
import type { GraphInfo, Node, ValueInfo } from '../proto.js'
import { isRagged, sizesOf } from './operators.js'

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
export function regionsOf(
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
