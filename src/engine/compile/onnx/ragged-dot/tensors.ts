import { hostFrom } from '../../../../base/host-tensor.js'
import type { HostTensor } from '../../../../base/host-tensor.js'
import type { InputPart, ValueInfo, Weight } from '../proto.js'

/** The constant tensors of a graph and its bodies. */
export interface GraphTensors {
  /** The weights before the expansion, with the kernels of all groups in one tensor. */
  readonly original: ReadonlyMap<string, Weight>
  /** The weights and the other constants after the expansion. */
  readonly weights: Map<string, Weight>
  readonly initializers: Map<string, HostTensor>
  /** The parts of inputs, if they may be read in place. */
  readonly parts: InputParts | null
  /** Whether integer products may take signed kernels: see `integerDot`. */
  readonly signed: boolean
}

/** Collects the parts of inputs that a graph reads. */
export class InputParts {
  readonly list: InputPart[] = []
  readonly infos: ValueInfo[] = []
  private readonly names = new Map<string, string>()

  constructor(private readonly inputs: readonly ValueInfo[]) {}

  /** The name of a part of an input; undefined if `name` is no input. */
  nameOf(name: string, index: number): string | undefined {
    const input = this.inputs.findIndex(info => info.name === name)
    if (input < 0) return undefined
    const key = `${name}_${index}`
    const known = this.names.get(key)
    if (known !== undefined) return known
    const part = `x${this.inputs.length + this.list.length}`
    this.names.set(key, part)
    this.list.push({ input, index })
    this.infos.push({ ...this.inputs[input], name: part, shape: this.inputs[input].shape.slice(1) })
    return part
  }
}

/** Adds a constant vector of integers (int64) and returns its name. */
export const ints = (values: readonly number[], tensors: Pick<GraphTensors, 'initializers'>): string =>
  constant(`ints_${values.join('_')}`, hostFrom('int64', [values.length], values), tensors)

/** Adds a constant and returns its name. */
export function constant(
  name: string,
  tensor: HostTensor,
  { initializers }: Pick<GraphTensors, 'initializers'>,
): string {
  initializers.set(name, tensor)
  return name
}
