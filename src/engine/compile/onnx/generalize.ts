import { hostFrom, toNumbers } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { sameShape } from '../../program/aval.js'
import { isBody } from './nodes.js'
import { elementTypes } from './proto.js'
import type { Attribute, GraphInfo, Node, ValueInfo } from './proto.js'

/** One number's values in the example graphs. */
type Values = readonly number[]

/** A size that is known at run time only: the length of an axis of an input. */
interface Size {
  name: string
  input: string
  axis: number
  values: Values
}

const allEqual = (values: Values): boolean => values.every(v => v === values[0])
const same = (a: Values, b: Values): boolean => a.every((v, i) => v === b[i])

/**
 * One graph for any sizes, from those of one function at three different ones: where they differ, in the inputs' axes and in constants
 * (shapes, bounds of slices), sizes are read from the inputs at run time. Null if they differ in anything else, or in a number that is
 * neither a size, a multiple of one, a product of two nor a size and some more, or that is so in two ways. Two examples make a formula, the
 * third one tests it.
 */
export function generalize(graphs: readonly GraphInfo[]): GraphInfo | null {
  const [first, ...others] = graphs
  const sizes = sizesOf(graphs.map(g => g.inputs))
  if (!sizes || others.some(g => g.nodes.length !== first.nodes.length || g.outputs.length !== first.outputs.length))
    return null
  const writer = new SizeWriter(sizes)
  /** What each value of the first graph is called in the others. */
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

/** The nodes of a graph, or of a body in it, for any sizes. `names` is added to. */
function generalNodes(
  examples: readonly (readonly Node[])[],
  names: Map<string, string[]>,
  constants: readonly GraphInfo['initializers'][],
  writer: SizeWriter,
): Node[] | null {
  const nodes: Node[] = []
  for (const [i, node] of examples[0].entries()) {
    const all = examples.map(list => list[i])
    const [, ...alike] = all
    if (!alike.every(other => sameOperation(node, other))) return null
    const inputs = node.inputs.map((name, k) => {
      const tensors = constants.flatMap((known, n) => known.get(all[n].inputs[k]) ?? [])
      if (tensors.length === all.length) return writer.constant(name, tensors, node.op === 'Reshape' && k === 1)
      const expected = name === '' ? alike.map(() => '') : names.get(name)
      return alike.every((other, n) => other.inputs[k] === expected?.[n]) ? name : null
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
        alike.map(other => other.outputs[k]),
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

/** The body of an ONNX `If` with symbolic sizes. Its output shapes are left open. Null for bodies of loops, which have inputs. */
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

/** The sizes in which the inputs differ; null if they differ in more than that. */
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

/** Lengths that are a size get its name; other lengths that differ between the examples get a name that nothing else has. */
const generalInfo = (examples: readonly ValueInfo[], x: ValueInfo, sizes: readonly Size[]): ValueInfo => ({
  ...x,
  shape: x.shape.map((length, axis) => {
    const values = examples.map(e => Number(e.shape[axis]))
    return allEqual(values) ? length : (sizes.find(size => same(size.values, values))?.name ?? `${x.name}_${axis}`)
  }),
})

/** Writes constants, and the nodes that compute those which depend on sizes. */
class SizeWriter {
  readonly nodes: Node[] = []
  readonly initializers = new Map<string, HostTensor>()
  private readonly known = new Map<string, string>()

  constructor(private readonly sizes: readonly Size[]) {}

  /** The name of a value that is these tensors in the examples; null if no formula says what it is at other sizes. */
  constant(name: string, tensors: readonly HostTensor[], isTargetShape: boolean): string | null {
    const [{ dtype, shape }] = tensors
    if (tensors.some(t => t.dtype !== dtype || !sameShape(t.shape, shape))) return null
    const examples = tensors.map(toNumbers)
    const elements = examples[0].map((_, i) => examples.map(numbers => numbers[i]))
    const open = elements.flatMap((values, i) => (allEqual(values) || values.every(Number.isNaN) ? [] : i))
    if (open.length === 0) {
      this.initializers.set(name, tensors[0])
      return name
    }
    // A position that counts from the end reads the length of an axis as a number of the positions' type.
    if ((dtype !== 'int64' && dtype !== 'int32' && dtype !== 'uint32') || shape.length > 1) return null
    // Reshape finds out one length by itself.
    if (isTargetShape && open.length === 1 && !examples[0].includes(0))
      return this.ints(examples[0].map((n, i) => (i === open[0] ? -1 : n)))
    const parts = elements.map(values => (allEqual(values) ? this.ints([values[0]]) : this.formula(values)))
    if (parts.includes(null)) return null
    const vector = parts.length === 1 ? parts[0]! : this.node('Concat', parts as string[], { axis: 0 })
    const typed = dtype === 'int64' ? vector : this.node('Cast', [vector], { to: elementTypes[dtype] })
    return shape.length === 0 ? this.node('Squeeze', [typed]) : typed
  }

  /** A vector of the one number that has these values in the examples. */
  private formula(values: Values): string | null {
    for (const ways of [this.multiples(values), this.products(values), this.sums(values)]) {
      if (ways.length > 0) return ways.length === 1 ? ways[0]() : null
    }
    return null
  }

  private multiples(values: Values): (() => string)[] {
    return this.sizes.flatMap(size => {
      const factor = values[0] / size.values[0]
      const fits =
        Number.isInteger(factor) &&
        same(
          values,
          size.values.map(v => factor * v),
        )
      return fits ? () => this.times(this.size(size), factor) : []
    })
  }

  private products(values: Values): (() => string)[] {
    return this.sizes.flatMap((s, i) =>
      this.sizes.slice(i).flatMap(t => {
        const factor = values[0] / (s.values[0] * t.values[0])
        const fits =
          Number.isInteger(factor) &&
          same(
            values,
            s.values.map((v, n) => factor * v * t.values[n]),
          )
        return fits ? () => this.times(this.node('Mul', [this.size(s), this.size(t)]), factor) : []
      }),
    )
  }

  private sums(values: Values): (() => string)[] {
    return this.sizes.flatMap(size => {
      const rest = values[0] - size.values[0]
      return same(
        values,
        size.values.map(v => v + rest),
      )
        ? () => this.node('Add', [this.size(size), this.ints([rest])])
        : []
    })
  }

  private times(name: string, factor: number): string {
    return factor === 1 ? name : this.node('Mul', [name, this.ints([factor])])
  }

  private size({ input, axis }: Size): string {
    return this.node('Shape', [input], { start: axis, end: axis + 1 })
  }

  private ints(values: readonly number[]): string {
    return this.once(`ints ${values}`, name => this.initializers.set(name, hostFrom('int64', [values.length], values)))
  }

  private node(op: string, inputs: readonly string[], attributes: Node['attributes'] = {}): string {
    return this.once(JSON.stringify([op, inputs, attributes]), name =>
      this.nodes.push({ op, domain: '', inputs, outputs: [name], attributes }),
    )
  }

  private once(key: string, make: (name: string) => void): string {
    let name = this.known.get(key)
    if (name === undefined) {
      name = `general${this.known.size}`
      this.known.set(key, name)
      make(name)
    }
    return name
  }
}
