import { allEqual, same } from '../formulas.js'
import type { Values } from '../formulas.js'
import { isBody } from './nodes.js'
import { NotGeneralError } from './not-general.js'
import type { Attribute, GraphInfo, Node, ValueInfo } from './proto.js'
import { SizeWriter } from './size-writer.js'
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
 * Throws a NotGeneralError if the examples differ in anything else, if no formula fits, or if several formulas of the
 * same kind fit. `lengths`: for a part of a larger function, the lengths from which those of its inputs follow. Then
 * several formulas may fit, if one of these lengths does.
 */
export function generalize(graphs: readonly GraphInfo[], lengths?: readonly Values[]): GraphInfo {
  const [first, ...others] = graphs
  const sizes = sizesOf(graphs.map(g => g.inputs))
  requireSame(
    graphs.map(g => g.nodes.length),
    'operations',
  )
  requireSame(
    graphs.map(g => g.outputs.length),
    'results',
  )
  const writer = new SizeWriter(sizes, lengths)
  /** For each value of the first example, its names in the other examples. */
  const names = new Map(first.inputs.map((x, i) => [x.name, others.map(g => g.inputs[i].name)]))
  const nodes = generalNodes(
    graphs.map(g => g.nodes),
    names,
    graphs.map(g => g.initializers),
    writer,
  )
  first.outputs.forEach((o, i) => {
    if (!names.get(o.name)?.every((name, n) => name === others[n].outputs[i].name))
      throw new NotGeneralError('it returns other values at other sizes')
  })
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

function requireSame(counts: Values, what: string): void {
  if (!allEqual(counts)) throw new NotGeneralError(`it has ${counts.join(', ')} ${what} at three sizes`)
}

/**
 * The general nodes of a graph or of a body in it. `names` has the names of each value of the first example in the
 * other examples; the names of the nodes' outputs are added to it.
 */
function generalNodes(
  examples: readonly (readonly Node[])[],
  names: Map<string, string[]>,
  constants: readonly GraphInfo['initializers'][],
  writer: SizeWriter,
): Node[] {
  return examples[0].map((node, i) => {
    const all = examples.map(list => list[i])
    const [, ...others] = all
    const other = others.find(o => !sameOperation(node, o))
    if (other) throw new NotGeneralError(`it computes ${differenceOf(node, other)}`)
    const inputs = node.inputs.map((name, k) => {
      const tensors = constants.flatMap((initializers, n) => initializers.get(all[n].inputs[k]) ?? [])
      if (tensors.length === all.length) return writer.constant(name, tensors, node.op === 'Reshape' && k === 1)
      const expected = name === '' ? others.map(() => '') : names.get(name)
      if (others.some((o, n) => o.inputs[k] !== expected?.[n]))
        throw new NotGeneralError(`its ${node.op} reads another value at other sizes`)
      return name
    })
    const attributes = Object.entries(node.attributes).map(
      ([key, value]) =>
        [
          key,
          isBody(value)
            ? generalBody(
                all.map(o => (o.attributes[key] as typeof value).graph),
                names,
                constants,
                writer,
              )
            : value,
        ] as const,
    )
    node.outputs.forEach((name, k) =>
      names.set(
        name,
        others.map(o => o.outputs[k]),
      ),
    )
    return { ...node, inputs, attributes: Object.fromEntries(attributes) as Node['attributes'] }
  })
}

/**
 * The general body of an ONNX `If`. The lengths of its outputs' axes get names of their own, which ONNX Runtime treats
 * as unknown. Bodies of loops, the ones that have inputs, cannot be generalized.
 */
function generalBody(
  examples: readonly GraphInfo[],
  names: Map<string, string[]>,
  constants: readonly GraphInfo['initializers'][],
  writer: SizeWriter,
): Attribute {
  const [first, ...others] = examples
  if (first.inputs.length > 0) throw new NotGeneralError('it has loops')
  requireSame(
    examples.map(g => g.nodes.length),
    'operations in a branch',
  )
  const nodes = generalNodes(
    examples.map(g => g.nodes),
    names,
    constants,
    writer,
  )
  if (!first.outputs.every((o, i) => others.every((g, n) => names.get(o.name)?.[n] === g.outputs[i].name)))
    throw new NotGeneralError('it has a branch with other results at other sizes')
  return {
    graph: {
      ...first,
      nodes,
      outputs: first.outputs.map(o => ({ ...o, shape: o.shape.map((_, axis) => `${o.name}_${axis}`) })),
    },
  }
}

/** The axis lengths in which the inputs of the examples differ. */
function sizesOf(examples: readonly (readonly ValueInfo[])[]): Size[] {
  const sizes = new Map<string, Size>()
  const [first, ...others] = examples
  requireSame(
    examples.map(inputs => inputs.length),
    'inputs',
  )
  for (const [i, x] of first.entries()) {
    if (others.some(inputs => inputs[i].dtype !== x.dtype || inputs[i].shape.length !== x.shape.length))
      throw new NotGeneralError('it has an input of another type at other sizes')
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

/** How two nodes that should be the same operation differ, for a person. */
function differenceOf(a: Node, b: Node): string {
  if (a.op !== b.op) return `${a.op} at some sizes and ${b.op} at others`
  const of = (node: Node): string => JSON.stringify(node.attributes, withoutBodies)
  return of(a) === of(b)
    ? `${a.op} of other numbers of operands at other sizes`
    : `${a.op} in another way at other sizes: ${of(a)} and ${of(b)}`
}

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
