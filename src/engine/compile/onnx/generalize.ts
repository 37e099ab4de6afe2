import { hostFrom, toNumbers } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { sameShape } from '../../program/aval.js'
import { isBody } from './nodes.js'
import { elementTypes } from './proto.js'
import type { Attribute, GraphInfo, Node, ValueInfo } from './proto.js'

/** A length or an integer constant that may differ among the example graphs (see `generalize`): its value in each. */
type Values = readonly number[]

/** A size that is known only at run time: the length of an axis of an input. */
interface Size {
  name: string
  input: string
  axis: number
  values: Values
}

const allEqual = (values: Values): boolean => values.every(v => v === values[0])
const same = (a: Values, b: Values): boolean => a.every((v, i) => v === b[i])

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

/** Writes constants, and nodes that compute those constants of the examples that depend on sizes. */
class SizeWriter {
  readonly nodes: Node[] = []
  readonly initializers = new Map<string, HostTensor>()
  /** The names of constants and nodes written so far, by what they compute. */
  private readonly written = new Map<string, string>()

  constructor(private readonly sizes: readonly Size[]) {}

  /**
   * Writes a constant whose values in the examples are `tensors`, and returns its name: `name` itself if they are
   * equal. Null if no formula fits. `isTargetShape`: whether it is the shape operand of a Reshape.
   */
  constant(name: string, tensors: readonly HostTensor[], isTargetShape: boolean): string | null {
    const [{ dtype, shape }] = tensors
    if (tensors.some(t => t.dtype !== dtype || !sameShape(t.shape, shape))) return null
    const examples = tensors.map(toNumbers)
    const elements = examples[0].map((_, i) => examples.map(numbers => numbers[i]))
    const sizeDependent = elements.flatMap((values, i) => (allEqual(values) || values.every(Number.isNaN) ? [] : i))
    if (sizeDependent.length === 0) {
      this.initializers.set(name, tensors[0])
      return name
    }
    // Indices are int64, but a program may also compute with an axis length as an int32 constant.
    if ((dtype !== 'int64' && dtype !== 'int32' && dtype !== 'uint32') || shape.length > 1) return null
    // Reshape infers one length that is given as -1, unless another length is 0: then it has no way to infer it.
    if (isTargetShape && sizeDependent.length === 1 && !examples[0].includes(0))
      return this.ints(examples[0].map((n, i) => (i === sizeDependent[0] ? -1 : n)))
    const parts = elements.map(values => (allEqual(values) ? this.ints([values[0]]) : this.formula(values)))
    if (parts.includes(null)) return null
    const vector = parts.length === 1 ? parts[0]! : this.node('Concat', parts as string[], { axis: 0 })
    const typed = dtype === 'int64' ? vector : this.node('Cast', [vector], { to: elementTypes[dtype] })
    return shape.length === 0 ? this.node('Squeeze', [typed]) : typed
  }

  /**
   * A vector with one element, which has these values in the examples. Null if no formula fits. The kinds of formulas
   * are tried from the simplest on. If several of one kind fit, the result is null, since they differ at other sizes.
   */
  private formula(values: Values): string | null {
    for (const formulas of [this.multiples(values), this.products(values), this.sums(values)]) {
      if (formulas.length > 0) return formulas.length === 1 ? formulas[0]() : null
    }
    return null
  }

  /** factor * size. */
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

  /** factor * size * size. */
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

  /** size + constant. */
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

  /** The name of what `key` describes; `make` writes it if it is new. */
  private once(key: string, make: (name: string) => void): string {
    let name = this.written.get(key)
    if (name === undefined) {
      name = `general${this.written.size}`
      this.written.set(key, name)
      make(name)
    }
    return name
  }
}
