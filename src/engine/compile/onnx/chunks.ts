import { GraphWriter } from './graph.js'
import type { Lowered } from './graph.js'
import { allNodes, namesRead, renameNode } from './nodes.js'
import type { Attribute, GraphInfo, Node } from './proto.js'

/**
 * A graph is cut into chunks if sorting its nodes takes more steps than this. ONNX Runtime keeps the nodes that are
 * ready to run in a sorted linked list, and builds that list again in each of about fifty optimizers. If n nodes are
 * ready at the same time, building it takes about n² / 2 steps: half a million for 1,000 nodes that read only inputs.
 */
export const MAX_STEPS = 1e6

/** Nodes of a chunk. 200 to 400 are fastest: smaller chunks need more `If` nodes, larger ones take longer to sort. */
const CHUNK_NODES = 250

/**
 * The graph with its nodes in chunks. A chunk is the body of an `If` whose condition is always true; ONNX Runtime sorts
 * and optimizes each body separately. The condition is computed from the size of an input, because ONNX Runtime inlines
 * an `If` with a constant condition. A graph without inputs is not cut. `types` has the type of each value that the
 * nodes compute.
 */
export function inChunks(graph: GraphInfo, types: ReadonlyMap<string, Lowered>, writer: GraphWriter): GraphInfo {
  const { nodes, inputs, outputs } = graph
  if (inputs.length === 0) return graph
  const chunkOf = new Map(nodes.flatMap((node, i) => node.outputs.map(name => [name, Math.floor(i / CHUNK_NODES)])))
  // For each chunk, those of its values that are read outside of it.
  const results: Set<string>[] = []
  const recordRead = (name: string, reader: number): void => {
    const chunk = chunkOf.get(name)
    if (chunk !== undefined && chunk !== reader) (results[chunk] ??= new Set()).add(name)
  }
  nodes.forEach((node, i) => namesRead(node).forEach(name => recordRead(name, Math.floor(i / CHUNK_NODES))))
  outputs.forEach(({ name }) => recordRead(name, -1))

  const outside = new GraphWriter(writer)
  const size = outside.node('Size', [inputs[0] as Lowered], 'int64', [])
  const isTrue = outside.node('GreaterOrEqual', [size, outside.scalar('int64', 0)], 'bool', [])
  const chunks = results.map((names, chunk): Node => {
    const values = [...names].map(name => types.get(name)!)
    const inner = new Map(values.map(({ name }) => [name, `${name}_inside`]))
    const body = nodes.slice(chunk * CHUNK_NODES, (chunk + 1) * CHUNK_NODES).map(node => renameNode(node, inner))
    return {
      op: 'If',
      domain: '',
      inputs: [isTrue.name],
      outputs: [...names],
      attributes: {
        then_branch: bodyOf(
          body,
          values.map(v => ({ ...v, name: inner.get(v.name)! })),
        ),
        // Never runs, but ONNX needs a branch of the same types. It reads `size`, because ONNX Runtime would compute a
        // constant branch when it makes the session, and keep the results.
        else_branch: outside.body([], g => values.map(v => g.expand(g.cast(size, v.dtype), v.shape))),
      },
    }
  })
  return { ...graph, nodes: [...outside.nodes, ...chunks.filter(Boolean)] }
}

const bodyOf = (nodes: readonly Node[], outputs: readonly Lowered[]): Attribute => ({
  graph: { nodes, initializers: new Map(), inputs: [], outputs },
})

/**
 * How many steps ONNX Runtime takes to sort these nodes: the elements that it walks past in its list of ready nodes.
 */
export function sortingSteps(nodes: readonly Node[]): number {
  const makers = new Map(nodes.flatMap(node => node.outputs.map(name => [name, node] as const)))
  const readers = new Map<Node, Node[]>(nodes.map(node => [node, []]))
  /** For each node, how many of the nodes that it reads are not sorted yet. */
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

/** The most steps that sorting the graph or one of its bodies takes, for tests: at most `MAX_STEPS`. */
export const longestSort = (graph: GraphInfo): number =>
  Math.max(
    sortingSteps(graph.nodes),
    ...allNodes(graph.nodes).flatMap(node =>
      Object.values(node.attributes).flatMap(value =>
        typeof value === 'object' && 'graph' in value ? sortingSteps(value.graph.nodes) : [],
      ),
    ),
  )
