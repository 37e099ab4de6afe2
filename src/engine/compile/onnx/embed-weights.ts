import { isFloat } from '../../../base/dtypes.js'
import { bytesOfType } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import type { StoredTensor } from '../../../base/stored-tensor.js'
import { INTEGER_PRODUCT } from './integer-product/nodes.js'
import { makeNode, mapBodies, namesRead, renameNode } from './nodes.js'
import { elementTypes, isInFile } from './proto.js'
import type { GraphInfo, Node, Weight } from './proto.js'
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
  /** The positions of the inputs that became weights where an operation packs them, or everywhere. */
  embedded: readonly number[]
  /** The positions of the inputs that became weights everywhere they are read. */
  copied: readonly number[]
  /** The total size of the graph's weights. */
  weightBytes: number
}

/**
 * Replaces inputs by weights of the graph. `tensors` has the data of each such input, and null for each other input.
 * When ONNX Runtime makes a session, it packs weights on the right side of a matrix product for its kernel, which makes
 * the product two to three times as fast. Packing copies the weight, so large tensors that other operations read, such
 * as an embedding, stay inputs and are read without a copy. A packed weight that is stored in a file is read from there
 * when the session is made, in the layout of the file.
 */
export function embedWeights(
  graph: GraphInfo,
  tensors: readonly (HostTensor | StoredTensor | null)[],
): GraphWithWeights {
  const tensorOf = new Map(graph.inputs.flatMap(({ name }, i) => (tensors[i] ? [[name, tensors[i]] as const] : [])))
  const weights = new Map<string, Weight>()
  const embed = (node: Node): Node => {
    let turned = false
    const inputs = node.inputs.map((name, k) => {
      const tensor = tensorOf.get(name)
      // MatMul packs matrices only, not tensors with batch axes.
      const isPacked = packed[node.op]?.includes(k) && (!node.op.endsWith('MatMul') || tensor?.shape.length === 2)
      if (!tensor || (bytesOfType(tensor) > SMALL_BYTES && !isPacked)) return name
      weights.set(`weight_${name}`, 'inFile' in tensor ? tensor.inFile : tensor)
      turned ||= 'inFile' in tensor && tensor.isTransposed
      return `weight_${name}`
    })
    const changed = { ...mapBodies(node, nodes => nodes.map(embed)), inputs }
    return turned ? withTurnedKernel(changed) : changed
  }
  const nodes = graph.nodes.map(embed)
  const read = new Set(nodes.flatMap(namesRead))
  const embedded = graph.inputs.flatMap(({ name }, i) => (weights.has(`weight_${name}`) ? i : []))
  const kept = graph.inputs.flatMap(({ name }, i) => (read.has(name) ? i : []))
  const renamed = new Map(kept.map((at, i) => [graph.inputs[at].name, `x${i}`]))
  return {
    graph: {
      ...graph,
      nodes: nodes.map(node => renameNode(node, renamed)),
      weights,
      inputs: kept.map((at, i) => ({ ...graph.inputs[at], name: `x${i}` })),
    },
    kept,
    embedded,
    copied: embedded.filter(i => !read.has(graph.inputs[i].name)),
    weightBytes: [...weights.values()].reduce((sum, weight) => sum + bytesOfType(weight), 0),
  }
}

/** A matrix product whose kernel has its axes in the opposite order. */
function withTurnedKernel(node: Node): Node {
  const { transB, ...attributes } = node.attributes
  const turned = transB ? attributes : { ...attributes, transB: 1 }
  return node.op === 'MatMul'
    ? { ...node, op: 'FusedMatMul', domain: 'com.microsoft', attributes: turned }
    : { ...node, attributes: turned }
}

/**
 * The graph with float32 weights, from files that hold some in a narrower floating point type. ONNX Runtime casts them
 * when it makes the session (its optimizer computes what depends on constants alone), one copy in float32 being all
 * that stays.
 */
export function castWeights(graph: GraphInfo): GraphInfo {
  const casts: Node[] = []
  const weights = new Map<string, Weight>()
  for (const [name, weight] of graph.weights ?? []) {
    const isNarrow = isInFile(weight) && isFloat(weight.dtype) && weight.dtype !== 'float32'
    weights.set(isNarrow ? `${name}_stored` : name, weight)
    if (isNarrow) casts.push(makeNode('Cast', [`${name}_stored`], [name], { to: elementTypes.float32 }))
  }
  return { ...graph, nodes: [...casts, ...graph.nodes], weights }
}
