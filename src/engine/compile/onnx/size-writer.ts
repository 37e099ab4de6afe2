import { hostFrom, toNumbers } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { sameShape } from '../../program/aval.js'
import { elementTypes } from './proto.js'
import type { Node } from './proto.js'

/** A length or an integer constant that may differ among the example graphs (see generalize.ts): its value in each. */
export type Values = readonly number[]

/** A size that is known only at run time: the length of an axis of an input. */
export interface Size {
  name: string
  input: string
  axis: number
  values: Values
}

export const allEqual = (values: Values): boolean => values.every(v => v === values[0])
export const same = (a: Values, b: Values): boolean => a.every((v, i) => v === b[i])

/** Writes constants, and nodes that compute those constants of the examples that depend on sizes. */
export class SizeWriter {
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
