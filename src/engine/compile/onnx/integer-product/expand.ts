import { mapBodies, makeNode, allNodes } from '../nodes.js'
import type { GraphInfo, Node } from '../proto.js'
import { isRagged, SWITCHYARD_DOMAIN } from '../ragged-dot/operators.js'
import { INTEGER_PRODUCT, integerDot, quantizeRows } from './nodes.js'

const isIntegerProduct = ({ domain, op }: Node): boolean => domain === SWITCHYARD_DOMAIN && op === INTEGER_PRODUCT

/** Whether a graph has products of integers, ragged ones too. */
export const hasIntegerProducts = (graph: GraphInfo): boolean =>
  allNodes(graph.nodes).some(node => isIntegerProduct(node) || (isRagged(node) && node.attributes.integers === 1))

/** Replaces integer products by ONNX's operators. `signed`: see `integerDot`. */
export function expandIntegerProducts(graph: GraphInfo, signed: boolean): GraphInfo {
  if (!hasIntegerProducts(graph)) return graph
  const initializers = new Map(graph.initializers)
  const relus = new Set(allNodes(graph.nodes).flatMap(({ op, outputs }) => (op === 'Relu' ? outputs : [])))
  const expand = (node: Node): Node[] => {
    if (!isIntegerProduct(node)) return [mapBodies(node, nodes => nodes.flatMap(expand))]
    const [x, ...kernel] = node.inputs
    const [out] = node.outputs
    const rows = { name: x, axis: node.attributes.axis as number, isRelu: relus.has(x) }
    const { nodes, integers, largest } = quantizeRows(rows, `${out}_rows`, { initializers })
    const sums = `${out}_sums`
    return [
      ...nodes,
      ...integerDot(integers, kernel, sums, node.attributes.transB === 1, signed, { initializers }),
      makeNode('Mul', [sums, largest], [out]),
    ]
  }
  return { ...graph, nodes: graph.nodes.flatMap(expand), initializers }
}
