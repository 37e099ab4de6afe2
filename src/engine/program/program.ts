import type { DType } from '../../base/dtypes.js'
import { formatAval } from './aval.js'
import type { Aval } from './aval.js'
import type { PrimitiveName, PrimitiveParamsOf } from './primitives.js'
import type * as primitives from './primitives.js'

/** A value inside a program, defined once: an input or an equation's output. */
export class Var {
  constructor(readonly aval: Aval) {}
}

/** A scalar constant written in a program. bool is 0 or 1; int64 may be a bigint. */
export class Lit {
  readonly aval: Aval
  constructor(
    readonly value: number | bigint,
    dtype: DType,
  ) {
    this.aval = { dtype, shape: [] }
  }
}

export type Atom = Var | Lit

/** outputs = primitive[params](inputs) */
export interface Equation<P extends PrimitiveName = PrimitiveName> {
  readonly primitive: P
  readonly inputs: readonly Atom[]
  readonly params: PrimitiveParams[P]
  readonly outputs: readonly Var[]
}

/**
 * A list of equations over values with static shapes. Loops and branches are equations whose parameters hold programs.
 */
export class Program {
  constructor(
    readonly inputs: readonly Var[],
    readonly equations: readonly Equation[],
    readonly outputs: readonly Atom[],
  ) {}

  /** JAX's notation: `{ lambda a:f32[3] ; let b:f32[3] = sin a in (b) }`. Equal programs print equally. */
  toString(): string {
    return printProgram(this)
  }
}

export type PrimitiveParams = PrimitiveParamsOf<Program>
export type ScanParams = primitives.ScanParams<Program>
export type ShardMapParams = primitives.ShardMapParams<Program>
export type VjpPrograms = primitives.VjpPrograms<Program>
export type GroupRule = primitives.GroupRule<Program>

/** Whether an equation applies the given primitive; narrows the type of its parameters. */
export const is = <P extends PrimitiveName>(eqn: Equation, primitive: P): eqn is Equation<P> =>
  eqn.primitive === primitive

function printProgram(program: Program, indent = ''): string {
  const names = new Map<Var, string>()
  const nameOf = (v: Var): string => {
    let name = names.get(v)
    if (name === undefined) {
      name = letters(names.size)
      names.set(v, name)
    }
    return name
  }
  const define = (v: Var): string => `${nameOf(v)}:${formatAval(v.aval)}`
  const use = (a: Atom): string =>
    a instanceof Var ? nameOf(a) : `${Object.is(a.value, -0) ? '-0' : a.value}:${formatAval(a.aval)}`
  const inner = `${indent}    `
  const lines = [`${indent}{ lambda ${program.inputs.map(define).join(' ')} ; let`]
  for (const eqn of program.equations) {
    const params = printParams(eqn.params, inner)
    const inputs = eqn.inputs.map(use).join(' ')
    lines.push(`${inner}${eqn.outputs.map(define).join(' ')} = ${eqn.primitive}${params}${inputs && ' '}${inputs}`)
  }
  lines.push(`${indent}  in (${program.outputs.map(use).join(', ')}) }`)
  return lines.join('\n')
}

/** 0 -> a, 25 -> z, 26 -> ba, as JAX names variables. */
function letters(n: number): string {
  const digit = String.fromCharCode(97 + (n % 26))
  return n < 26 ? digit : letters(Math.floor(n / 26)) + digit
}

function printParams(params: object, indent: string): string {
  // A function (`GroupRule`) adds nothing to the name of its composite.
  const entries = Object.entries(params).filter(([, value]) => typeof value !== 'function')
  if (entries.length === 0) return ''
  return `[${entries.map(([key, value]) => `${key}=${printParam(value, indent)}`).join(' ')}]`
}

/** A parameter as text. Equal parameters have equal texts. */
export function printParam(value: unknown, indent: string): string {
  if (value instanceof Program) return `\n${printProgram(value, indent)}\n${indent}`
  if (Array.isArray(value)) return `(${value.map(v => printParam(v, indent)).join(',')})`
  // An object without properties: a composite's derivative that is only traced when it is needed.
  if (typeof value === 'object' && value !== null) return printParams(value, indent) || '...'
  return String(value)
}
