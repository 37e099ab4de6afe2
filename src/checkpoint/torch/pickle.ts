import { FileError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { quote } from '../format.js'

// A pickle is a program for a stack machine. This machine implements the opcodes of protocol 2 that a dictionary of
// tensors needs. It produces plain data only: a Python global becomes its name, and a call becomes a record of the
// function's name and its arguments. No function is looked up or run.

/** A global name of Python, such as `torch.FloatStorage`. */
export class PickleGlobal {
  constructor(readonly name: string) {}
}

/** A call that the pickle describes: a global, and the arguments to call it with. */
export class PickleCall {
  constructor(
    readonly callee: string,
    readonly args: readonly PickleValue[],
  ) {}
}

/** A reference to something outside the pickle, as `torch.save` makes for a storage. */
export class PickleReference {
  constructor(readonly id: readonly PickleValue[]) {}
}

export type PickleValue =
  | null
  | boolean
  | number
  | string
  | readonly PickleValue[]
  | Map<string | number, PickleValue>
  | PickleGlobal
  | PickleCall
  | PickleReference

/** Our own limit: enough for about 140,000 tensors in one file, in at most a few hundred megabytes of memory. */
export const maxPickleBytes = 16 * 2 ** 20
const maxObjects = 1_000_000

const orderedDict = 'collections.OrderedDict'

/**
 * The value that a pickle describes. Throws for every global that is not in `allowed` (or OrderedDict, which becomes a
 * Map), before anything is done with it, and for opcodes that no dictionary of tensors needs.
 */
export function unpickle(path: string, bytes: Uint8Array, allowed: ReadonlySet<string>): PickleValue {
  return new Unpickler(path, bytes, allowed).run()
}

class Unpickler {
  private readonly view: DataView
  private readonly decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  private readonly stack: PickleValue[] = []
  private readonly marks: number[] = []
  private readonly memo = new Map<number, PickleValue>()
  private at = 0
  private objects = 0

  constructor(
    private readonly path: string,
    private readonly bytes: Uint8Array,
    private readonly allowed: ReadonlySet<string>,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  run(): PickleValue {
    for (;;) {
      const code = this.number(1)
      if (code === 0x2e) return this.stop()
      const operation = operations.get(code)
      if (operation === undefined) throw this.broken(unknownOpcode(code))
      operation(this)
    }
  }

  push(value: PickleValue): void {
    if (typeof value === 'object' && value !== null && ++this.objects > maxObjects) {
      throw this.broken(
        `it makes more than ${formatCount(maxObjects)} objects: this is not an honest file; if it is, split it`,
      )
    }
    this.stack.push(value)
  }

  pop(): PickleValue {
    if (this.stack.length <= (this.marks.at(-1) ?? 0)) throw this.broken('it takes a value from an empty stack')
    return this.stack.pop()!
  }

  mark(): void {
    this.marks.push(this.stack.length)
  }

  /** Pops the values that were pushed since the last mark. */
  popMark(): PickleValue[] {
    const mark = this.marks.pop()
    if (mark === undefined) throw this.broken('it ends a group that it did not begin')
    return this.stack.splice(mark)
  }

  pushLast(count: number): void {
    const items = Array.from({ length: count }, () => this.pop())
    this.push(items.reverse())
  }

  /** Reads an unsigned integer of this many bytes. */
  number(length: 1 | 2 | 4): number {
    const at = this.take(length)
    return length === 1
      ? this.view.getUint8(at)
      : length === 2
        ? this.view.getUint16(at, true)
        : this.view.getUint32(at, true)
  }

  signed(): number {
    return this.view.getInt32(this.take(4), true)
  }

  /** Reads a float64, big endian. */
  float(): number {
    return this.view.getFloat64(this.take(8), false)
  }

  /** Reads an integer of any length, in two's complement. Integers too large for a size or an offset are refused. */
  long(): number {
    const length = this.number(1)
    const at = this.take(length)
    let value = 0n
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.bytes[at + i])
    const exact = Number(BigInt.asIntN(8 * length, value))
    if (!Number.isSafeInteger(exact)) throw this.broken('it has an integer past 2^53')
    return exact
  }

  text(length: number): string {
    const at = this.take(length)
    try {
      return this.decoder.decode(this.bytes.subarray(at, at + length))
    } catch {
      throw this.broken('it has text that is not UTF-8')
    }
  }

  /** Reads a global's module and name, one line each. */
  global(): void {
    const name = `${this.line()}.${this.line()}`
    if (name !== orderedDict && !this.allowed.has(name)) {
      throw new FileError(
        `${this.path}: its pickle asks for ${quote(name)}, which is no part of a checkpoint of tensors. Nothing of it was run. ` +
          'If you do not know why it is there, do not open this file with anything; otherwise save the state_dict alone, or as safetensors',
      )
    }
    this.push(new PickleGlobal(name))
  }

  remember(index: number): void {
    const top = this.pop()
    this.stack.push(top)
    this.memo.set(index, top)
  }

  recall(index: number): void {
    const value = this.memo.get(index)
    if (value === undefined) throw this.broken('it recalls what it never remembered')
    this.stack.push(value)
  }

  refer(): void {
    const id = this.pop()
    if (!Array.isArray(id)) throw this.broken('it refers to something outside by what is not a tuple')
    this.push(new PickleReference(id as readonly PickleValue[]))
  }

  call(): void {
    const args = this.pop()
    const callee = this.pop()
    if (!(callee instanceof PickleGlobal) || !Array.isArray(args)) throw this.broken('it calls what cannot be called')
    if (callee.name !== orderedDict) this.push(new PickleCall(callee.name, args as readonly PickleValue[]))
    else if (args.length === 0) this.push(new Map())
    else throw this.broken('it makes an OrderedDict with arguments')
  }

  /** Drops an object's further state. A state_dict's (`_metadata`) is not needed, nor that of other objects. */
  build(): void {
    this.pop()
    const target = this.pop()
    if (!(target instanceof Map) && !(target instanceof PickleCall))
      throw this.broken('it sets the state of what is not an OrderedDict')
    this.stack.push(target)
  }

  append(items: readonly PickleValue[]): void {
    const list = this.pop()
    if (!Array.isArray(list)) throw this.broken('it appends to what is not a list')
    for (const item of items) list.push(item)
    this.stack.push(list as PickleValue[])
  }

  setItems(items: readonly PickleValue[]): void {
    const dict = this.pop()
    if (dict instanceof PickleCall) return void this.stack.push(dict)
    if (!(dict instanceof Map) || items.length % 2 !== 0)
      throw this.broken('it sets the items of what is not a dictionary')
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i]
      if (typeof key !== 'string' && typeof key !== 'number')
        throw this.broken('a dictionary has a key that is neither text nor a number')
      if (dict.has(key)) throw this.broken(`a dictionary has the key ${quote(String(key))} twice`)
      dict.set(key, items[i + 1])
    }
    this.stack.push(dict)
  }

  broken(message: string): FileError {
    return new FileError(
      `${this.path}: its pickle is not one of a state_dict, byte ${formatCount(this.at)}: ${message}`,
    )
  }

  private stop(): PickleValue {
    const value = this.pop()
    if (this.stack.length > 0 || this.marks.length > 0) throw this.broken('it ends with values left over')
    if (this.at !== this.bytes.length) throw this.broken('it goes on after its end')
    return value
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.at)
    if (end < 0 || end - this.at > maxNameBytes) throw this.broken('it has a global whose name does not end')
    const text = this.text(end - this.at)
    this.at++
    return text
  }

  private take(length: number): number {
    const at = this.at
    if (length > this.bytes.length - at) throw this.broken('it ends too early')
    this.at += length
    return at
  }
}

const maxNameBytes = 1000

const operations: ReadonlyMap<number, (machine: Unpickler) => void> = new Map([
  [
    0x80,
    m => {
      // PROTO
      const protocol = m.number(1)
      if (protocol !== 2)
        throw m.broken(`it has protocol ${protocol}, and torch.save writes 2: save it again without pickle_protocol`)
    },
  ],
  [0x28, m => m.mark()], // MARK
  [0x4e, m => m.push(null)], // NONE
  [0x88, m => m.push(true)], // NEWTRUE
  [0x89, m => m.push(false)], // NEWFALSE
  [0x4b, m => m.push(m.number(1))], // BININT1
  [0x4d, m => m.push(m.number(2))], // BININT2
  [0x4a, m => m.push(m.signed())], // BININT
  [0x8a, m => m.push(m.long())], // LONG1
  [0x47, m => m.push(m.float())], // BINFLOAT
  [0x58, m => m.push(m.text(m.number(4)))], // BINUNICODE
  [0x29, m => m.push([])], // EMPTY_TUPLE
  [0x85, m => m.pushLast(1)], // TUPLE1
  [0x86, m => m.pushLast(2)], // TUPLE2
  [0x87, m => m.pushLast(3)], // TUPLE3
  [0x74, m => m.push(m.popMark())], // TUPLE
  [0x5d, m => m.push([])], // EMPTY_LIST
  [0x61, m => m.append([m.pop()])], // APPEND
  [0x65, m => m.append(m.popMark())], // APPENDS
  [0x7d, m => m.push(new Map())], // EMPTY_DICT
  [
    0x73,
    m => {
      const value = m.pop()
      m.setItems([m.pop(), value])
    },
  ], // SETITEM
  [0x75, m => m.setItems(m.popMark())], // SETITEMS
  [0x71, m => m.remember(m.number(1))], // BINPUT
  [0x72, m => m.remember(m.number(4))], // LONG_BINPUT
  [0x68, m => m.recall(m.number(1))], // BINGET
  [0x6a, m => m.recall(m.number(4))], // LONG_BINGET
  [0x63, m => m.global()], // GLOBAL
  [0x52, m => m.call()], // REDUCE
  [0x81, m => m.call()], // NEWOBJ: an object's class and the arguments to make it with
  [0x62, m => m.build()], // BUILD
  [0x51, m => m.refer()], // BINPERSID
])

const unknownOpcode = (code: number): string =>
  `it has the opcode 0x${code.toString(16).padStart(2, '0')}, which no dictionary of tensors needs. Nothing of it was run`
