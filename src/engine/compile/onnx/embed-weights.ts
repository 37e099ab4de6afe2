import type { HostTensor } from '../../../base/host-tensor.js'
import { INTEGER_PRODUCT } from './integer-product/nodes.js'
import { mapBodies, namesRead, renameNode } from './nodes.js'
import type { GraphInfo, Node } from './proto.js'
import { RAGGED_DOT } from './ragged-dot/operators.js'

/** Weights up to this size are always embedded: passing them as inputs in each run takes longer than reading them. */
const SMALL_BYTES = 2 ** 16

/**
 * For each operation, the positions of the operands that ONNX Runtime packs if they are weights: laid out for its
 * kernel.
 */
const packed: { readonly [op: string]: readonly number[] } = {
  MatMul: [1],
  FusedMatMul: [1],
  MatMulNBits: [1, 2],
  [INTEGER_PRODUCT]: [1, 2],
  [RAGGED_DOT]: [2, 3],
}

export interface GraphWithWeights {
  graph: GraphInfo
  /** The positions of the inputs that are still inputs of the graph. They are renamed `x0, x1, ...` in order. */
  kept: readonly number[]
  /** The positions of the inputs that became weights everywhere they are read. */
  copied: readonly number[]
  /** The total size of the graph's weights. */
  weightBytes: number
}

/**
 * Replaces inputs by weights of the graph. `tensors` has the data of each such input, and null for each other input.
 * When ONNX Runtime makes a session, it packs weights on the right side of a matrix product for its kernel, which makes
 * the product two to three times as fast. Packing copies the weight, so large tensors that other operations read, such
 * as an embedding, stay inputs and are read without a copy.
 */
export function embedWeights(graph: GraphInfo, tensors: readonly (HostTensor | null)[]): GraphWithWeights {
  const tensorOf = new Map(graph.inputs.flatMap(({ name }, i) => (tensors[i] ? [[name, tensors[i]] as const] : [])))
  const weights = new Map<string, HostTensor>()
  const embed = (node: Node): Node => {
    const inputs = node.inputs.map((name, k) => {
      const tensor = tensorOf.get(name)
      // MatMul packs matrices only, not tensors with batch axes.
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
