import { hostFrom, toNumbers } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { sameShape } from '../../program/aval.js'
import { allEqual, formulasOf } from '../formulas.js'
import type { Formula, Values } from '../formulas.js'
import { NotGeneralError } from './not-general.js'
import { elementTypes } from './proto.js'
import type { Node } from './proto.js'

/** A size that is known only at run time: the length of an axis of an input. */
export interface Size {
  name: string
  input: string
  axis: number
  values: Values
}

/** Writes constants, and nodes that compute those constants of the examples that depend on sizes. */
export class SizeWriter {
  readonly nodes: Node[] = []
  readonly initializers = new Map<string, HostTensor>()
  /** The names of constants and nodes written so far, by what they compute. */
  private readonly written = new Map<string, string>()

  /** `lengths`: if given, those from which all `sizes` follow. */
  constructor(
    private readonly sizes: readonly Size[],
    private readonly lengths?: readonly Values[],
  ) {}

  /**
   * Writes a constant whose values in the examples are `tensors`, and returns its name: `name` itself if they are
   * equal. Throws a NotGeneralError if no formula fits. `isTargetShape`: whether it is the shape operand of a Reshape.
   */
  constant(name: string, tensors: readonly HostTensor[], isTargetShape: boolean): string {
    const [{ dtype, shape }] = tensors
    if (tensors.some(t => t.dtype !== dtype || !sameShape(t.shape, shape)))
      throw new NotGeneralError('it has a constant with another shape at other sizes')
    const examples = tensors.map(toNumbers)
    const elements = examples[0].map((_, i) => examples.map(numbers => numbers[i]))
    const sizeDependent = elements.flatMap((values, i) => (allEqual(values) || values.every(Number.isNaN) ? [] : i))
    if (sizeDependent.length === 0) {
      this.initializers.set(name, tensors[0])
      return name
    }
    // Indices are int64, but a program may also compute with an axis length as an int32 constant.
    if ((dtype !== 'int64' && dtype !== 'int32' && dtype !== 'uint32') || shape.length > 1)
      throw new NotGeneralError(`it computes with ${dtype} numbers that depend on sizes: ${elements[sizeDependent[0]]}`)
    // Reshape infers one length that is given as -1, unless another length is 0: then it has no way to infer it.
    if (isTargetShape && sizeDependent.length === 1 && !examples[0].includes(0))
      return this.ints(examples[0].map((n, i) => (i === sizeDependent[0] ? -1 : n)))
    const parts = elements.map(values => (allEqual(values) ? this.ints([values[0]]) : this.formula(values)))
    const vector = parts.length === 1 ? parts[0] : this.node('Concat', parts, { axis: 0 })
    const typed = dtype === 'int64' ? vector : this.node('Cast', [vector], { to: elementTypes[dtype] })
    return shape.length === 0 ? this.node('Squeeze', [typed]) : typed
  }

  /**
   * A vector with one element, which has these values in the examples. If several formulas fit, they differ at other
   * sizes, unless the sizes follow from fewer lengths, of which one formula gives these values.
   */
  private formula(values: Values): string {
    const [formula, ...others] = formulasOf(values, this.sizes)
    const isOne = others.length === 0 || formulasOf(values, this.lengths?.map(v => ({ values: v })) ?? []).length === 1
    if (formula && isOne) return this.write(formula)
    throw new NotGeneralError(
      `it has a length or index of ${values.join(', ')} at three sizes, which ${formula ? 'several formulas give' : 'is no multiple of a length of its arguments, or of two, and no sum of one and a constant'}`,
    )
  }

  private write(formula: Formula<Size>): string {
    switch (formula.kind) {
      case 'multiple':
        return this.times(this.size(formula.size), formula.factor)
      case 'product':
        return this.times(
          this.node(
            'Mul',
            formula.sizes.map(size => this.size(size)),
          ),
          formula.factor,
        )
      case 'sum':
        return this.node('Add', [this.size(formula.size), this.ints([formula.rest])])
    }
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
