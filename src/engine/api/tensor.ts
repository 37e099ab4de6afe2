/// <reference lib="esnext.disposable" preserve="true" />
import { isFloat } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import { check, SwitchyardError } from '../../base/errors.js'
import { bytesOfType, hostScalar, reader, toNumbers } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import type { StoredTensor } from '../../base/stored-tensor.js'
import { Concrete } from '../compile/concrete.js'
import { engineOf } from '../compile/engine.js'
import { formatAval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import type { NamedSharding } from '../program/sharding.js'
import { failRead, isTracing, refuseRead, Tracer } from '../program/trace.js'
import { Literal } from '../program/value.js'
import type { Value } from '../program/value.js'
import { describe } from './describe.js'
import { defaultEngine } from './engine.js'
import { getIndexed, Slice, updateIndexed } from './indexing.js'
import type { IndexOf, UpdateKind } from './indexing.js'
import { indexDtypeOf, valueOf } from './nested.js'
import type { Nested } from './nested.js'
import type { TensorMethods } from './tensor-methods.js'

export { defaultEngine }

/** An index of an array: see `Tensor.get`. */
export type Index = IndexOf<Tensor | readonly Nested<Tensor>[]>

/**
 * Updates of the elements that an index selects. Each method returns a new array of the same dtype; values are
 * broadcast and converted to that dtype. If an index array selects an element several times, `set` keeps one of the
 * values, `apply` is applied once, and all other methods apply every value.
 */
export interface IndexedUpdate {
  /** Replaces the elements by the value. */
  set(value: TensorLike): Tensor
  /** Adds the value to the elements. */
  add(value: TensorLike): Tensor
  /** Subtracts the value from the elements. */
  subtract(value: TensorLike): Tensor
  /** Multiplies the elements by the value. */
  multiply(value: TensorLike): Tensor
  /** Divides the elements by the value; floating point only. */
  divide(value: TensorLike): Tensor
  /** Raises the elements to the power of the value; floating point only. */
  power(value: TensorLike): Tensor
  /** Replaces each element by the minimum of element and value. */
  min(value: TensorLike): Tensor
  /** Replaces each element by the maximum of element and value. */
  max(value: TensorLike): Tensor
  /** Replaces the elements by f(elements). */
  apply(f: (elements: Tensor) => Tensor): Tensor
  /** Returns the selected elements, without an update. */
  get(): Tensor
}

// Declares the methods that methods.ts installs on the class.
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- methods.ts is checked to install every one
export interface Tensor extends TensorMethods<Tensor> {}

/**
 * An array with a dtype and a static shape. Outside traced functions it is a future: the data may still be being
 * computed. Inside a traced function it is a tracer, which has a type but no data.
 */
export class Tensor {
  constructor(readonly value: Value) {}

  get shape(): readonly number[] {
    return this.value.shape
  }
  get dtype(): DType {
    return this.value.dtype
  }
  get ndim(): number {
    return this.value.ndim
  }
  /** The number of elements. */
  get size(): number {
    return this.value.size
  }

  /**
   * A copy of the array's data on the host, once computed. Throws inside a traced function, where a tracer has no data.
   */
  data(): Promise<HostTensor> {
    return readAs(this, view => ({ ...view, data: view.data.slice() }))
  }

  /** How the array is laid out over a mesh of devices, once that is known; null if it is on one device. */
  async sharding(): Promise<NamedSharding | null> {
    return this.value instanceof Concrete ? this.value.sharding : null
  }

  /** The elements as JS numbers, in row-major order. */
  numbers(): Promise<number[]> {
    return readAs(this, toNumbers)
  }

  /** The only element of an array of size 1, as a JS number. Throws for arrays of other sizes. */
  item(): Promise<number> {
    if (this.size !== 1) return failRead(new SwitchyardError(`item() needs an array of one element, not ${this}`))
    return readAs(this, ({ dtype, data }) => reader(dtype, data)(0))
  }

  /**
   * NumPy's x[...]: `x.get(0, slice(1, 3), ':', null, '...', positions)`. A number selects one position and drops the
   * axis, `np.slice(start, stop, step)` selects a range, ':' the whole axis, '...' all remaining axes; null inserts a
   * new axis. An integer array or list selects its positions; several of them broadcast together. Negative positions
   * count from the end. A number out of bounds throws a ShapeError; positions in arrays that are out of bounds are
   * clamped to the first or last.
   */
  get(...indices: Index[]): Tensor {
    return new Tensor(getIndexed(this.value, indices.map(indexValue)))
  }

  /**
   * Updates the elements that `get` reads with the same index: `x.at(0).set(1)`, `x.at(positions).add(y)`. Positions in
   * arrays that are out of bounds are ignored.
   */
  at(...indices: Index[]): IndexedUpdate {
    const at = indices.map(indexValue)
    const update = (kind: UpdateKind, value: TensorLike, x = this.value): Value =>
      updateIndexed(kind, x, at, valueOf(value, this.dtype))
    const by =
      (kind: UpdateKind) =>
      (value: TensorLike): Tensor =>
        new Tensor(update(kind, value))
    // Several values for one element are multiplied first: (x / a) / b is x / (a b), and (x ** a) ** b is x ** (a b).
    const byProduct =
      (name: string, f: (x: Value, product: Value) => Value) =>
      (value: TensorLike): Tensor => {
        check(isFloat(this.dtype), () => `at().${name} needs floating point, not ${this}: convert it first (np.astype)`)
        return new Tensor(f(this.value, update(ops.mul, value, ops.full(this.shape, 1, this.dtype))))
      }
    return {
      set: by('set'),
      add: by('add'),
      subtract: value => new Tensor(updateIndexed('add', this.value, at, ops.neg(valueOf(value, this.dtype)))),
      multiply: by(ops.mul),
      divide: byProduct('divide', ops.div),
      power: byProduct('power', ops.pow),
      min: by(ops.min),
      max: by(ops.max),
      apply: f => new Tensor(update('set', f(this.get(...indices)))),
      get: () => this.get(...indices),
    }
  }

  /**
   * Frees the array's memory, once the runs that use it are over, instead of when it is garbage-collected. Later uses
   * throw. `using x = f()` does it at the end of the block. Inside a traced function nothing happens.
   */
  dispose(): void {
    if (this.value instanceof Concrete) this.value.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  toString(): string {
    return formatAval(this.value.aval)
  }

  /** Makes `x + y` and `x > y` throw. By default, JavaScript would convert both arrays to strings. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === 'string') return this.toString()
    throw new SwitchyardError(
      `JavaScript's operators do not work on ${this}: use np.add, np.multiply, np.greater, np.where and the like`,
    )
  }

  /**
   * JSON.stringify writes only the type, since the data may not be computed yet; for the data use `await x.numbers()`.
   */
  toJSON(): { dtype: DType; shape: readonly number[] } {
    return { dtype: this.dtype, shape: this.shape }
  }

  /** The text that console.log shows in Node. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

function indexValue(index: Index): IndexOf<Value> {
  if (index instanceof Tensor) return index.value
  if (index === null || index instanceof Slice || typeof index === 'number' || index === ':' || index === '...')
    return index
  check(
    typeof index === 'object',
    () => `an index is a whole number, slice(...), ':', '...', null or positions, not ${describe(index)}`,
  )
  return valueOf(index, indexDtypeOf(index))
}

/**
 * The type of every array argument: an array, a number, or nested lists of arrays and numbers. A number takes the dtype
 * of the function's array operands; without any it is float32, or int32 as an index. A bigint is int64, a boolean bool.
 */
export type TensorLike = Nested<Tensor>

/**
 * An array's data without a copy, once computed. It is the array's own memory: only for reading, and only while the
 * array is referred to and not donated. A read that cannot succeed (of a tracer, or of a donated array) inside a traced
 * function makes the call of that function throw.
 */
export function hostView({ value, dtype }: Tensor): Promise<HostTensor> {
  if (value instanceof Tracer) return refuseRead(value)
  if (value instanceof Literal) return Promise.resolve(hostScalar(dtype, value.value))
  try {
    return (value as Concrete).read()
  } catch (error) {
    return failRead(error as SwitchyardError)
  }
}

/** The array's data, converted. */
function readAs<R>(array: Tensor, convert: (view: HostTensor) => R): Promise<R> {
  const read = hostView(array).then(convert)
  // A traced function cannot await the read: if the computation of the array fails, the rejection must not end the
  // process.
  if (isTracing()) read.catch(() => undefined)
  return read
}

/** Garbage is collected when more bytes than this are released. Less is not worth the time. */
const RELEASED_BYTES = 2 ** 26

/**
 * Frees the arrays' memory, of which `owner` keeps its own copy. Later uses of the arrays throw an error that names
 * `owner`.
 */
export function releaseArrays(arrays: readonly Tensor[], owner: string): void {
  const released = arrays.flatMap(({ value }) => (value instanceof Concrete ? value : []))
  for (const value of released) value.release(owner)
  // JavaScript does not see how much memory its arrays take, and would keep them for a long time.
  if (released.reduce((sum, { aval }) => sum + bytesOfType(aval), 0) > RELEASED_BYTES)
    engineOf(released[0])?.backend.collectGarbage?.()
}

/** An array over host data. The memory is not copied: do not change it afterwards. */
export const fromHost = (tensor: HostTensor): Tensor => new Tensor(defaultEngine().put(tensor))

/** An array over a tensor in a file, which must stay as it is until the array is read or compiled with. */
export const fromStored = (tensor: StoredTensor): Tensor => new Tensor(defaultEngine().putStored(tensor))
