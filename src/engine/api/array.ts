import type { DType } from '../../base/dtypes.js'
import { SwitchyardError } from '../../base/errors.js'
import { hostFrom, reader, toNumbers } from '../../base/tensor.js'
import type { HostTensor } from '../../base/tensor.js'
import { Concrete } from '../compile/engine.js'
import { formatAval } from '../program/aval.js'
import type { Value } from '../program/value.js'
import { defaultEngine } from './engine.js'

export { defaultEngine }

/** An array with a dtype and a static shape: computed, being computed, or standing for an input while a function is traced. */
export class Array {
  constructor(readonly value: Value) {}

  get shape(): readonly number[] { return this.value.shape }
  get dtype(): DType { return this.value.dtype }
  get ndim(): number { return this.value.ndim }
  /** The number of elements. */
  get size(): number { return this.value.size }

  /** The array's data on the host, once computed. Throws inside a traced function, where there is none yet. */
  async data(): Promise<HostTensor> {
    if (this.value instanceof Concrete) return this.value.read()
    throw new SwitchyardError(`a traced ${this} has no data yet: return it from the function and read it outside`)
  }

  /** The elements as JS numbers, in row-major order. */
  async numbers(): Promise<number[]> {
    return toNumbers(await this.data())
  }

  /** The one element of an array of size 1, as a JS number. */
  async item(): Promise<number> {
    if (this.size !== 1) throw new SwitchyardError(`item() needs an array of one element, not ${this}`)
    const { dtype, data } = await this.data()
    return reader(dtype, data)(0)
  }

  toString(): string { return formatAval(this.value.aval) }
}

/** Nested lists of numbers or booleans. */
export type Nested = number | boolean | readonly Nested[]
/** What array functions accept: a bare number takes the other operand's dtype. */
export type ArrayLike = Array | number | boolean

/** Puts host data into an array. */
export const fromHost = (tensor: HostTensor): Array => new Array(defaultEngine().put(tensor))

/**
 * An array from nested lists: `array([[1, 2], [3, 4]])`. float32 unless a dtype is given; booleans make a bool array.
 * Throws a SwitchyardError when the lists are ragged.
 */
export function array(nested: Nested, dtype?: DType): Array {
  const shape: number[] = []
  for (let level: Nested = nested; typeof level === 'object'; level = level[0]) {
    shape.push(level.length)
    if (level.length === 0) break
  }
  const values: number[] = []
  let allBoolean = true
  const visit = (node: Nested, depth: number): void => {
    if (typeof node !== 'object') {
      if (depth !== shape.length) throw new SwitchyardError('the nested lists have different depths')
      if (typeof node !== 'boolean') allBoolean = false
      values.push(Number(node))
      return
    }
    if (node.length !== shape[depth]) throw new SwitchyardError(`the nested lists are ragged: expected ${shape[depth]} entries, got ${node.length}`)
    for (const child of node) visit(child, depth + 1)
  }
  visit(nested, 0)
  return fromHost(hostFrom(dtype ?? (allBoolean && values.length > 0 ? 'bool' : 'float32'), shape, values))
}
