import { isBody } from './nodes.js'
import type { Attribute, GraphInfo, Node, ValueInfo } from './proto.js'
import { allEqual, same, SizeWriter } from './size-writer.js'
import type { Size } from './size-writer.js'

/**
 * Makes one graph that works for all input sizes from the graphs of one function at three different sizes (the
 * examples).
 *
 * The examples may differ in axis lengths of inputs, and in integer constants such as shapes and bounds of slices. The
 * general graph computes each such constant at run time, by a formula that gives the right value in all three examples:
 * a multiple of a size, a multiple of a product of two sizes, or a size plus a constant. A formula has one unknown
 * factor or constant, so one example determines it and the others test it.
 *
 * Null if the examples differ in anything else, if no formula fits, or if several formulas of the same kind fit.
 */
export function generalize(graphs: readonly GraphInfo[]): GraphInfo | null {
  const [first, ...others] = graphs
  const sizes = sizesOf(graphs.map(g => g.inputs))
  if (!sizes || others.some(g => g.nodes.length !== first.nodes.length || g.outputs.length !== first.outputs.length))
    return null
  const writer = new SizeWriter(sizes)
  /** For each value of the first example, its names in the other examples. */
  const names = new Map(first.inputs.map((x, i) => [x.name, others.map(g => g.inputs[i].name)]))
  const nodes = generalNodes(
    graphs.map(g => g.nodes),
    names,
    graphs.map(g => g.initializers),
    writer,
  )
  if (
    !nodes ||
    !first.outputs.every((o, i) => names.get(o.name)?.every((name, n) => name === others[n].outputs[i].name))
  )
    return null
  const info =
    (kind: 'inputs' | 'outputs') =>
    (x: ValueInfo, i: number): ValueInfo =>
      generalInfo(
        graphs.map(g => g[kind][i]),
        x,
        sizes,
      )
  return {
    nodes: [...writer.nodes, ...nodes],
    initializers: writer.initializers,
    inputs: first.inputs.map(info('inputs')),
    outputs: first.outputs.map(info('outputs')),
  }
}

/**
 * The general nodes of a graph or of a body in it; null if the examples differ too much. `names` has the names of each
 * value of the first example in the other examples; the names of the nodes' outputs are added to it.
 */
function generalNodes(
  examples: readonly (readonly Node[])[],
  names: Map<string, string[]>,
  constants: readonly GraphInfo['initializers'][],
  writer: SizeWriter,
): Node[] | null {
  const nodes: Node[] = []
  for (const [i, node] of examples[0].entries()) {
    const all = examples.map(list => list[i])
    const [, ...others] = all
    if (!others.every(other => sameOperation(node, other))) return null
    const inputs = node.inputs.map((name, k) => {
      const tensors = constants.flatMap((initializers, n) => initializers.get(all[n].inputs[k]) ?? [])
      if (tensors.length === all.length) return writer.constant(name, tensors, node.op === 'Reshape' && k === 1)
      const expected = name === '' ? others.map(() => '') : names.get(name)
      return others.every((other, n) => other.inputs[k] === expected?.[n]) ? name : null
    })
    const attributes = Object.entries(node.attributes).map(
      ([key, value]) =>
        [
          key,
          isBody(value)
            ? generalBody(
                all.map(other => (other.attributes[key] as typeof value).graph),
                names,
                constants,
                writer,
              )
            : value,
        ] as const,
    )
    if (inputs.includes(null) || attributes.some(([, value]) => value === null)) return null
    node.outputs.forEach((name, k) =>
      names.set(
        name,
        others.map(other => other.outputs[k]),
      ),
    )
    nodes.push({
      ...node,
      inputs: inputs as string[],
      attributes: Object.fromEntries(attributes) as Node['attributes'],
    })
  }
  return nodes
}

/**
 * The general body of an ONNX `If`. The lengths of its outputs' axes get names of their own, which ONNX Runtime treats
 * as unknown. Null for bodies of loops, the ones that have inputs: a function with loops cannot be generalized.
 */
function generalBody(
  examples: readonly GraphInfo[],
  names: Map<string, string[]>,
  constants: readonly GraphInfo['initializers'][],
  writer: SizeWriter,
): Attribute | null {
  const [first, ...others] = examples
  if (first.inputs.length > 0 || others.some(g => g.nodes.length !== first.nodes.length)) return null
  const nodes = generalNodes(
    examples.map(g => g.nodes),
    names,
    constants,
    writer,
  )
  if (!nodes || !first.outputs.every((o, i) => others.every((g, n) => names.get(o.name)?.[n] === g.outputs[i].name)))
    return null
  return {
    graph: {
      ...first,
      nodes,
      outputs: first.outputs.map(o => ({ ...o, shape: o.shape.map((_, axis) => `${o.name}_${axis}`) })),
    },
  }
}

/** The axis lengths in which the inputs of the examples differ; null if they differ in more than lengths. */
function sizesOf(examples: readonly (readonly ValueInfo[])[]): Size[] | null {
  const sizes = new Map<string, Size>()
  const [first, ...others] = examples
  if (others.some(inputs => inputs.length !== first.length)) return null
  for (const [i, x] of first.entries()) {
    if (others.some(inputs => inputs[i].dtype !== x.dtype || inputs[i].shape.length !== x.shape.length)) return null
    x.shape.forEach((_, axis) => {
      const values = examples.map(inputs => Number(inputs[i].shape[axis]))
      if (!allEqual(values) && !sizes.has(values.join()))
        sizes.set(values.join(), { name: `size${sizes.size}`, input: x.name, axis, values })
    })
  }
  return [...sizes.values()]
}

const sameOperation = (a: Node, b: Node): boolean =>
  a.op === b.op &&
  a.domain === b.domain &&
  a.inputs.length === b.inputs.length &&
  a.outputs.length === b.outputs.length &&
  JSON.stringify(a.attributes, withoutBodies) === JSON.stringify(b.attributes, withoutBodies)

const withoutBodies = (_: string, value: Attribute): unknown => (isBody(value) ? 'body' : value)

/**
 * An input or output of the general graph. A length that equals a `Size` in all examples is written as that size's
 * name. Any other length that differs among the examples gets a new name, which leaves it open.
 */
const generalInfo = (examples: readonly ValueInfo[], x: ValueInfo, sizes: readonly Size[]): ValueInfo => ({
  ...x,
  shape: x.shape.map((length, axis) => {
    const values = examples.map(e => Number(e.shape[axis]))
    return allEqual(values) ? length : (sizes.find(size => same(size.values, values))?.name ?? `${x.name}_${axis}`)
  }),
})
