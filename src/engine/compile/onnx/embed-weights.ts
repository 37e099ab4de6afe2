import type { HostTensor } from '../../../base/host-tensor.js'
import { mapBodies, namesRead, renameNode } from './nodes.js'
import type { GraphInfo, Node } from './proto.js'
import { RAGGED_DOT } from './ragged-dot.js'

/** Weights up to this size are copied whatever reads them: passing them at each run takes longer than reading them. */
const SMALL_BYTES = 2 ** 16

/** Which operands of an operation are packed. */
const packed: { readonly [op: string]: readonly number[] } = {
  MatMul: [1],
  FusedMatMul: [1],
  MatMulNBits: [1, 2],
  [RAGGED_DOT]: [2, 3],
}

export interface GraphWithWeights {
  graph: GraphInfo
  /** The positions of the inputs that are still inputs of the graph, where they are called `x0, x1, ...` again. */
  kept: readonly number[]
  /** The positions of the inputs that became weights and that nothing reads as an input. */
  copied: readonly number[]
  /** The size of the weights in it. */
  weightBytes: number
}

/**
 * Makes inputs whose data is known weights of the graph, where ONNX Runtime then reads them faster: it packs the right side of a
 * matrix product for its kernel when the session is made (design.md: two to three times as fast). It copies what it packs, so large
 * tensors that have another use, such as an embedding, stay inputs and are read where they are.
 */
export function embedWeights(graph: GraphInfo, tensors: readonly (HostTensor | null)[]): GraphWithWeights {
  const tensorOf = new Map(graph.inputs.flatMap(({ name }, i) => (tensors[i] ? [[name, tensors[i]] as const] : [])))
  const weights = new Map<string, HostTensor>()
  const embed = (node: Node): Node => {
    const inputs = node.inputs.map((name, k) => {
      const tensor = tensorOf.get(name)
      // A product of more than matrices is not packed.
      const isPacked = packed[node.op]?.includes(k) && (!node.op.endsWith('MatMul') || tensor?.shape.length === 2)
      if (!tensor || (tensor.data.byteLength > SMALL_BYTES && !isPacked)) return name
      weights.set(`weight_${name}`, tensor)
      return `weight_${name}`
    })
    return { ...mapBodies(node, nodes => nodes.map(embed)), inputs }
  }
  const embedded = graph.nodes.map(embed)
  const read = new Set(embedded.flatMap(namesRead))
  const kept = graph.inputs.flatMap(({ name }, i) => (read.has(name) ? i : []))
  const renamed = new Map(kept.map((at, i) => [graph.inputs[at].name, `x${i}`]))
  return {
    graph: {
      ...graph,
      nodes: embedded.map(node => renameNode(node, renamed)),
      weights,
      inputs: kept.map((at, i) => ({ ...graph.inputs[at], name: `x${i}` })),
    },
    kept,
    copied: graph.inputs.flatMap(({ name }, i) => (weights.has(`weight_${name}`) && !read.has(name) ? i : [])),
    weightBytes: [...weights.values()].reduce((sum, { data }) => sum + data.byteLength, 0),
  }
}
