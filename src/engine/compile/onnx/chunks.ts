import { GraphWriter } from './graph.js'
import type { Lowered } from './graph.js'
import { allNodes, namesRead, renameNode } from './nodes.js'
import type { Attribute, GraphInfo, Node } from './proto.js'

/**
 * ONNX Runtime keeps the nodes that are ready to run in a sorted linked list, and builds that list again in each of its optimizers:
 * a graph in which n nodes are ready together takes n² steps some fifty times. Above this many steps a graph is cut into chunks
 * (1,000 nodes that read only inputs cost half a million).
 */
export const MAX_STEPS = 1e6

/** 200 to 400 nodes are the fastest: with fewer the `If` nodes cost more, with more the lists of ready nodes. */
const CHUNK_NODES = 250

/**
 * The graph with its nodes in chunks. A chunk is the body of an `If` whose condition always holds, which ONNX Runtime sorts and
 * optimizes for itself. The condition is computed from the size of an input, because an `If` with a constant condition is inlined
 * again; a graph without inputs stays whole. `types` has the type of each value that the nodes make.
 */
export function inChunks(graph: GraphInfo, types: ReadonlyMap<string, Lowered>, writer: GraphWriter): GraphInfo {
  const { nodes, inputs, outputs } = graph
  if (inputs.length === 0) return graph
  const chunkOf = new Map(nodes.flatMap((node, i) => node.outputs.map(name => [name, Math.floor(i / CHUNK_NODES)])))
  // For each chunk its values that are read outside of it.
  const results: Set<string>[] = []
  const isRead = (name: string, reader: number): void => {
    const chunk = chunkOf.get(name)
    if (chunk !== undefined && chunk !== reader) (results[chunk] ??= new Set()).add(name)
  }
  nodes.forEach((node, i) => namesRead(node).forEach(name => isRead(name, Math.floor(i / CHUNK_NODES))))
  outputs.forEach(({ name }) => isRead(name, -1))

  const outside = new GraphWriter(writer)
  const size = outside.node('Size', [inputs[0] as Lowered], 'int64', [])
  const holds = outside.node('GreaterOrEqual', [size, outside.scalar('int64', 0)], 'bool', [])
  const chunks = results.map((names, chunk): Node => {
    const values = [...names].map(name => types.get(name)!)
    const inner = new Map(values.map(({ name }) => [name, `${name}_inside`]))
    const body = nodes.slice(chunk * CHUNK_NODES, (chunk + 1) * CHUNK_NODES).map(node => renameNode(node, inner))
    return {
      op: 'If',
      domain: '',
      inputs: [holds.name],
      outputs: [...names],
      attributes: {
        then_branch: bodyOf(
          body,
          values.map(v => ({ ...v, name: inner.get(v.name)! })),
        ),
        // Never run. ONNX needs a branch of the same types; ONNX Runtime would compute a constant one beforehand, and keep it.
        else_branch: outside.body([], g => values.map(v => g.expand(g.cast(size, v.dtype), v.shape))),
      },
    }
  })
  return { ...graph, nodes: [...outside.nodes, ...chunks.filter(Boolean)] }
}

const bodyOf = (nodes: readonly Node[], outputs: readonly Lowered[]): Attribute => ({
  graph: { nodes, initializers: new Map(), inputs: [], outputs },
})

/** How many elements of the list of ready nodes are passed over, if all nodes are put into it in the order of their depth. */
export function sortingSteps(nodes: readonly Node[]): number {
  const makers = new Map(nodes.flatMap(node => node.outputs.map(name => [name, node] as const)))
  const readers = new Map<Node, Node[]>(nodes.map(node => [node, []]))
  const missing = new Map<Node, number>()
  for (const node of nodes) {
    const read = new Set(namesRead(node).flatMap(name => makers.get(name) ?? []))
    read.delete(node)
    missing.set(node, read.size)
    for (const maker of read) readers.get(maker)!.push(node)
  }
  const ready = nodes.filter(node => missing.get(node) === 0)
  let steps = ready.length ** 2 / 2
  for (let done = 0; done < ready.length; done++) {
    for (const reader of readers.get(ready[done])!) {
      const left = missing.get(reader)! - 1
      missing.set(reader, left)
      if (left > 0) continue
      ready.push(reader)
      steps += ready.length - done
    }
  }
  return steps
}

/** The most steps that sorting one graph takes, bodies counted apart: what a test can hold against `MAX_STEPS`. */
export const longestSort = (graph: GraphInfo): number =>
  Math.max(
    sortingSteps(graph.nodes),
    ...allNodes(graph.nodes).flatMap(node =>
      Object.values(node.attributes).flatMap(value =>
        typeof value === 'object' && 'graph' in value ? sortingSteps(value.graph.nodes) : [],
      ),
    ),
  )
