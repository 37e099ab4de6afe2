import { hostFrom, toNumbers } from '../../../base/tensor.js'
import type { HostTensor } from '../../../base/tensor.js'
import { sameShape } from '../../program/aval.js'
import type { GraphInfo, Node, ValueInfo } from './proto.js'

/** A size that is not known yet: the length of an axis of an input. */
interface Size {
  name: string
  input: string
  axis: number
  /** What it is in either example. */
  values: readonly [number, number]
}

/**
 * One graph for any sizes, from those of one function at two different ones: where they differ, in the inputs' axes and in constants
 * (shapes, bounds of slices), sizes are read from the inputs at run time. Null if they differ in anything else, or in a number that is
 * neither `a * size + b` nor a product of sizes. For good guesses the examples' sizes should be primes that occur nowhere else.
 */
export function generalize(a: GraphInfo, b: GraphInfo): GraphInfo | null {
  const sizes = sizesOf(a.inputs, b.inputs)
  if (!sizes || a.nodes.length !== b.nodes.length || a.outputs.length !== b.outputs.length) return null
  const writer = new SizeWriter(sizes)
  /** The name in `b` of each value of `a`. */
  const names = new Map(a.inputs.map((x, i) => [x.name, b.inputs[i].name]))
  const nodes: Node[] = []
  for (const [i, node] of a.nodes.entries()) {
    const other = b.nodes[i]
    if (!sameOperation(node, other)) return null
    const inputs: string[] = []
    for (const [k, name] of node.inputs.entries()) {
      const [x, y] = [a.initializers.get(name), b.initializers.get(other.inputs[k])]
      const general = x && y ? writer.constant(name, x, y, node.op === 'Reshape' && k === 1) : (names.get(name) ?? name) === other.inputs[k] ? name : null
      if (general === null) return null
      inputs.push(general)
    }
    node.outputs.forEach((name, k) => names.set(name, other.outputs[k]))
    nodes.push({ ...node, inputs })
  }
  const outputs = a.outputs.map((o, i) => generalInfo(o, b.outputs[i], sizes))
  return {
    nodes: [...writer.nodes, ...nodes],
    initializers: writer.initializers,
    inputs: a.inputs.map((x, i) => generalInfo(x, b.inputs[i], sizes)),
    outputs,
  }
}

/** The sizes in which the inputs differ; null if they differ in more than that. */
function sizesOf(a: readonly ValueInfo[], b: readonly ValueInfo[]): Size[] | null {
  const sizes = new Map<string, Size>()
  if (a.length !== b.length) return null
  for (const [i, x] of a.entries()) {
    const y = b[i]
    if (x.dtype !== y.dtype || x.shape.length !== y.shape.length) return null
    x.shape.forEach((d, axis) => {
      const values = [Number(d), Number(y.shape[axis])] as const
      if (values[0] !== values[1] && !sizes.has(values.join())) sizes.set(values.join(), { name: `size${sizes.size}`, input: x.name, axis, values })
    })
  }
  return [...sizes.values()]
}

const sameOperation = (a: Node, b: Node): boolean =>
  a.op === b.op && a.domain === b.domain && a.inputs.length === b.inputs.length && a.outputs.length === b.outputs.length
  // The bodies of loops are not looked into.
  && !Object.values(a.attributes).some(value => typeof value === 'object' && 'graph' in value)
  && JSON.stringify(a.attributes) === JSON.stringify(b.attributes)

/** Lengths that are a size get its name; other ones that differ get a name of their own, which says nothing. */
const generalInfo = (a: ValueInfo, b: ValueInfo, sizes: readonly Size[]): ValueInfo => ({
  ...a,
  shape: a.shape.map((d, axis) => {
    if (d === b.shape[axis]) return d
    return sizes.find(({ values }) => values[0] === d && values[1] === b.shape[axis])?.name ?? `${a.name}_${axis}`
  }),
})

/** Writes constants, and the nodes that compute those which depend on sizes. */
class SizeWriter {
  readonly nodes: Node[] = []
  readonly initializers = new Map<string, HostTensor>()
  private readonly known = new Map<string, string>()

  constructor(private readonly sizes: readonly Size[]) {}

  /** The value that is `a` in one example and `b` in the other, under a name; null if nobody knows. */
  constant(name: string, a: HostTensor, b: HostTensor, isTargetShape: boolean): string | null {
    if (a.dtype !== b.dtype || !sameShape(a.shape, b.shape)) return null
    const [x, y] = [toNumbers(a), toNumbers(b)]
    const differing = x.flatMap((n, i) => (Object.is(n, y[i]) ? [] : i))
    if (differing.length === 0) {
      this.initializers.set(name, a)
      return name
    }
    if (a.dtype !== 'int64' || a.shape.length !== 1) return null
    // Reshape finds out one length by itself.
    if (isTargetShape && differing.length === 1 && !x.includes(0)) return this.ints(x.map((n, i) => (i === differing[0] ? -1 : n)))
    const parts = x.map((n, i) => (n === y[i] ? this.ints([n]) : this.formula(n, y[i])))
    if (parts.includes(null)) return null
    return parts.length === 1 ? parts[0] : this.node('Concat', parts as string[], { axis: 0 })
  }

  /** A vector of one number that is `a` at the first sizes and `b` at the second. */
  private formula(a: number, b: number): string | null {
    for (const size of this.sizes) {
      const [from, to] = size.values
      const factor = (b - a) / (to - from)
      const rest = a - factor * from
      // A size itself, a multiple of one, or one and some more; anything else is unlikely to be meant.
      if (!Number.isInteger(factor) || factor < 1 || (factor !== 1 && rest !== 0)) continue
      const scaled = factor === 1 ? this.size(size) : this.node('Mul', [this.size(size), this.ints([factor])])
      return rest === 0 ? scaled : this.node('Add', [scaled, this.ints([rest])])
    }
    for (const [i, s] of this.sizes.entries()) {
      for (const t of this.sizes.slice(i)) {
        const factor = a / (s.values[0] * t.values[0])
        if (!Number.isInteger(factor) || b !== factor * s.values[1] * t.values[1]) continue
        const product = this.node('Mul', [this.size(s), this.size(t)])
        return factor === 1 ? product : this.node('Mul', [product, this.ints([factor])])
      }
    }
    return null
  }

  private size({ input, axis }: Size): string { return this.node('Shape', [input], { start: axis, end: axis + 1 }) }

  private ints(values: readonly number[]): string {
    return this.once(`ints ${values}`, name => this.initializers.set(name, hostFrom('int64', [values.length], values)))
  }

  private node(op: string, inputs: readonly string[], attributes: Node['attributes'] = {}): string {
    return this.once(JSON.stringify([op, inputs, attributes]), name => this.nodes.push({ op, domain: '', inputs, outputs: [name], attributes }))
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
