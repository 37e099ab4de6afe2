import type { Aval } from '../../../program/aval.js'
import type { Program } from '../../../program/program.js'
import type { Mesh } from '../../../program/sharding.js'
import { typeText } from './mlir.js'
import { meshText } from './shardy.js'
import { BlockWriter, namesText, parametersText, typesText } from './writer.js'
import type { Lowered } from './writer.js'

/** Writes the equations of a program into a block; returns its outputs. */
export type WriteProgram = (
  module: ModuleWriter,
  block: BlockWriter,
  program: Program,
  inputs: readonly Lowered[],
) => Lowered[]

/** Writes a module: the main function, and private functions, which equal programs share. */
export class ModuleWriter {
  private readonly functions: string[] = []
  /** The symbols of functions that stand for a program, by name and text of the program. */
  private readonly symbols = new Map<string, string>()
  private readonly texts = new WeakMap<Program, string>()
  private readonly used = new Set<string>(['main'])

  /** `mesh`: the devices that run the module together; null: one device. */
  constructor(
    private readonly write: WriteProgram,
    readonly mesh: Mesh | null = null,
  ) {}

  /** The module's text. */
  get text(): string {
    const attributes = this.mesh
      ? ` attributes {mhlo.num_partitions = ${this.mesh.size} : i32, mhlo.num_replicas = 1 : i32}`
      : ''
    const declared = this.mesh ? meshText(this.mesh) : ''
    return `module @switchyard${attributes} {\n${declared}${this.functions.toReversed().join('')}}\n`
  }

  /**
   * Writes the function `main`. `attributes`: of each input and of each result, such as ` {jax.buffer_donor = true}`,
   * or ''.
   */
  main(program: Program, attributes: readonly string[], ofResults: readonly string[] = []): void {
    this.function('main', program.inputs.map(v => v.aval), (block, inputs) =>
      this.write(this, block, program, inputs), attributes, ofResults) // prettier-ignore
  }

  /** Writes the equations of a program into a block. */
  inline(block: BlockWriter, program: Program, inputs: readonly Lowered[]): Lowered[] {
    return this.write(this, block, program, inputs)
  }

  /** Calls a private function that computes a program. Equal programs of one name share one function. */
  call(block: BlockWriter, name: string, program: Program, inputs: readonly Lowered[]): Lowered[] {
    let text = this.texts.get(program)
    if (text === undefined) this.texts.set(program, (text = program.toString()))
    return this.callShared(
      block,
      name,
      text,
      inputs,
      program.outputs.map(o => o.aval),
      (inner, values) => this.inline(inner, program, values),
    )
  }

  /**
   * Calls a private function that `write` writes. Calls with the same name, key and types of inputs share one function.
   */
  callShared(
    block: BlockWriter,
    name: string,
    key: string,
    inputs: readonly Lowered[],
    results: readonly Aval[],
    write: (block: BlockWriter, inputs: Lowered[]) => readonly Lowered[],
  ): Lowered[] {
    const whole = `${name} ${typesText(inputs)} ${key}`
    let symbol = this.symbols.get(whole)
    if (symbol === undefined) {
      this.symbols.set(whole, (symbol = this.symbolFor(name)))
      this.function(
        symbol,
        inputs.map(v => v.aval),
        write,
      )
    }
    return block.call(symbol, inputs, results)
  }

  /** A symbol that no other function has. */
  private symbolFor(name: string): string {
    const base = name.replace(/\W/g, '_') || 'f'
    let symbol = base
    for (let n = 1; this.used.has(symbol); n++) symbol = `${base}_${n}`
    this.used.add(symbol)
    return symbol
  }

  private function(
    symbol: string,
    parameterTypes: readonly Aval[],
    write: (block: BlockWriter, inputs: Lowered[]) => readonly Lowered[],
    attributes?: readonly string[],
    ofResults?: readonly string[],
  ): void {
    const block = new BlockWriter()
    const inputs = block.arguments(parameterTypes)
    const outputs = write(block, inputs)
    const parameters = attributes
      ? inputs.map((v, i) => `${parametersText([v])}${attributes[i]}`).join(', ')
      : parametersText(inputs)
    const types = outputs.map(v => typeText(v.aval))
    const results = types.map((type, i) => `${type}${ofResults?.[i] ?? ''}`).join(', ')
    const result = outputs.length === 0 ? '' : ` ${namesText(outputs)} : ${types.join(', ')}`
    this.functions.push(
      `  func.func ${symbol === 'main' ? 'public' : 'private'} @${symbol}(${parameters}) -> (${results}) {\n` +
        `${block.text}    return${result}\n  }\n`,
    )
  }
}
