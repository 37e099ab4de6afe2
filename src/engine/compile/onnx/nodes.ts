import type { Attribute, GraphInfo, Node } from './proto.js'

type Body = { graph: GraphInfo }

/** Whether a node's attribute is a body: the graph that a loop or a branch runs. */
export const isBody = (value: Attribute | null): value is Body =>
  typeof value === 'object' && value !== null && 'graph' in value

function hasBody({ attributes }: Node): boolean {
  for (const key in attributes) if (isBody(attributes[key])) return true
  return false
}

/** The node with its bodies' nodes changed. */
export function mapBodies(node: Node, change: (nodes: readonly Node[], body: GraphInfo) => readonly Node[]): Node {
  if (!hasBody(node)) return node
  const attributes = Object.entries(node.attributes).map(([key, value]) => [
    key,
    isBody(value) ? { graph: { ...value.graph, nodes: change(value.graph.nodes, value.graph) } } : value,
  ])
  return { ...node, attributes: Object.fromEntries(attributes) as Node['attributes'] }
}

/** The nodes, and those in their bodies. */
export const allNodes = (nodes: readonly Node[]): Node[] =>
  nodes.flatMap(node => [
    node,
    ...Object.values(node.attributes)
      .filter(isBody)
      .flatMap(({ graph }) => allNodes(graph.nodes)),
  ])

/** The names of all values that a node or its bodies read. (Names are unique among a graph and its bodies.) */
export const namesRead = (node: Node): readonly string[] =>
  hasBody(node) ? allNodes([node]).flatMap(n => n.inputs) : node.inputs

/** The node with some values renamed, in its bodies too. Nodes without such values are not copied. */
export const renameNode = (node: Node, names: ReadonlyMap<string, string>): Node => {
  const renamed = mapBodies(node, nodes => nodes.map(n => renameNode(n, names)))
  const isNamed = (name: string): boolean => names.has(name)
  if (!renamed.inputs.some(isNamed) && !renamed.outputs.some(isNamed)) return renamed
  const rename = (name: string): string => names.get(name) ?? name
  const { op, domain, attributes, inputs, outputs } = renamed
  return { op, domain, attributes, inputs: inputs.map(rename), outputs: outputs.map(rename) }
}

/** A node of the given operator; `domain` is empty for ONNX's own operators. */
export const makeNode = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Node['attributes'] = {},
  domain = '',
): Node => ({ op, domain, inputs, outputs, attributes })

/**
 * Removes nodes whose results nothing reads. Lowering rules leave such nodes when they read the operand of an earlier
 * node instead of its result.
 */
export function withoutDeadNodes(nodes: readonly Node[], outputs: readonly string[]): Node[] {
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
