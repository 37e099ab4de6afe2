import type { Aval } from '../../../program/aval.js'
import { numberText, typeText } from './mlir.js'
import type { Attributes } from './mlir.js'

/** A value in the text: its MLIR name and its type. */
export interface Lowered {
  readonly name: string
  readonly aval: Aval
}

/** Hands out the names of one function's values, which its regions share. */
class Names {
  private count = 0
  next(): string {
    return `%${this.count++}`
  }
}

/** Writes the operations of one block: the body of a function, or of a region of an operation. */
export class BlockWriter {
  private readonly lines: string[] = []
  private readonly constants = new Map<string, Lowered>()
  /** The operands of operations, by the name of a result and the operation. */
  private readonly operandsOf = new Map<string, readonly Lowered[]>()

  constructor(
    private readonly names = new Names(),
    private readonly indent = '    ',
  ) {}

  /** The text of the operations written so far. */
  get text(): string {
    return this.lines.join('')
  }

  /** New values of these types, as arguments of the block. */
  arguments(types: readonly Aval[]): Lowered[] {
    return types.map(aval => ({ name: this.names.next(), aval }))
  }

  /** Writes an operation with one result. `regions`: texts from `region`. */
  op(
    operation: string,
    operands: readonly Lowered[],
    result: Aval,
    attributes?: Attributes,
    regions?: readonly string[],
  ): Lowered {
    return this.several(operation, operands, [result], attributes, regions)[0]
  }

  /** Writes an operation with any number of results. */
  several(
    operation: string,
    operands: readonly Lowered[],
    results: readonly Aval[],
    attributes: Attributes = {},
    regions: readonly string[] = [],
  ): Lowered[] {
    const name = this.names.next()
    const values = results.map((aval, i) => ({ name: results.length === 1 ? name : `${name}#${i}`, aval }))
    const defines = results.length === 0 ? '' : `${name}${results.length === 1 ? '' : `:${results.length}`} = `
    const entries = Object.entries(attributes).map(([key, text]) => `${key} = ${text}`)
    const properties = entries.length === 0 ? '' : ` <{${entries.join(', ')}}>`
    const bodies = regions.length === 0 ? '' : ` (${regions.join(', ')})`
    this.line(
      `${defines}"${operation}"(${namesText(operands)})${properties}${bodies} : ` +
        `${typesText(operands)} -> (${results.map(typeText).join(', ')})`,
    )
    for (const value of values) this.operandsOf.set(`${value.name} ${operation}`, operands)
    return values
  }

  /** The operands of the operation that computes a value, if this block has it and it is such an operation. */
  operandsIfMadeBy(value: Lowered, operation: string): readonly Lowered[] | undefined {
    return this.operandsOf.get(`${value.name} ${operation}`)
  }

  /** Calls a function of the module. */
  call(symbol: string, operands: readonly Lowered[], results: readonly Aval[]): Lowered[] {
    return this.several('func.call', operands, results, { callee: `@${symbol}` })
  }

  /** An array with the same value everywhere. Written once in a block. */
  constant(value: number | bigint, aval: Aval): Lowered {
    const text = `dense<${numberText(aval.dtype, value)}> : ${typeText(aval)}`
    let found = this.constants.get(text)
    if (!found) this.constants.set(text, (found = this.op('stablehlo.constant', [], aval, { value: text })))
    return found
  }

  /**
   * A region of one block, whose arguments have these types and which returns what `write` returns, by the operation
   * `terminator`.
   */
  region(
    types: readonly Aval[],
    write: (block: BlockWriter, values: Lowered[]) => readonly Lowered[],
    terminator = 'stablehlo.return',
  ): string {
    const block = new BlockWriter(this.names, `${this.indent}  `)
    const values = block.arguments(types)
    const results = write(block, values)
    block.several(terminator, results, [])
    const label = types.length === 0 ? '' : `${this.indent}^bb0(${parametersText(values)}):\n`
    return `{\n${label}${block.text}${this.indent}}`
  }

  private line(text: string): void {
    this.lines.push(`${this.indent}${text}\n`)
  }
}

/** `%0, %1` */
export const namesText = (values: readonly Lowered[]): string => values.map(v => v.name).join(', ')

/** `(tensor<f32>, tensor<i32>)` */
export const typesText = (values: readonly Lowered[]): string => `(${values.map(v => typeText(v.aval)).join(', ')})`

/** `%0: tensor<f32>, %1: tensor<i32>` */
export const parametersText = (values: readonly Lowered[]): string =>
  values.map(v => `${v.name}: ${typeText(v.aval)}`).join(', ')
