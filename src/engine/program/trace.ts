import { SwitchyardError } from '../../base/errors.js'
import { formatAval } from './aval.js'
import type { Aval } from './aval.js'
import type { PrimitiveName } from './primitives.js'
import type { Atom, Equation, PrimitiveParams } from './program.js'
import { Lit, Program, Var } from './program.js'
import { shapeOf } from './shapes.js'
import { Literal, Value } from './value.js'
import type { Evaluator } from './value.js'

/** A value of the program that a trace is writing. It has a type and no data. */
export class Tracer extends Value {
  constructor(
    readonly trace: Trace,
    readonly atom: Atom,
  ) {
    super()
  }
  get aval(): Aval {
    return this.atom.aval
  }
}

/** A program that is being written while its function runs. */
export class Trace {
  readonly equations: Equation[] = []
  /** Values from outside that the function uses, each with the hidden input that it becomes. */
  readonly captured = new Map<Value, Var>()
  /** Whether the traced function is still running. */
  open = true
  /** The error of the first read in the function that failed: see `failRead`. */
  refused: SwitchyardError | null = null

  /** `name`: the traced function's name, for errors. */
  constructor(readonly name: string) {}

  input(aval: Aval): Tracer {
    return new Tracer(this, new Var(aval))
  }

  /** Adds an equation and returns its outputs. */
  emit<P extends PrimitiveName>(
    primitive: P,
    inputs: readonly Value[],
    params: PrimitiveParams[P],
    outputs: readonly Aval[],
  ): Tracer[] {
    const eqn = { primitive, inputs: inputs.map(v => this.atomOf(v)), params, outputs: outputs.map(a => new Var(a)) }
    this.equations.push(eqn as unknown as Equation)
    return eqn.outputs.map(v => new Tracer(this, v))
  }

  /**
   * The variable or constant for a value in this program. An array from outside becomes a hidden input, never a
   * constant.
   */
  atomOf(value: Value): Atom {
    if (value instanceof Tracer && value.trace === this) return value.atom
    if (value instanceof Literal) return new Lit(value.value, value.dtype)
    if (value instanceof Tracer && !value.trace.open) throw leaked(value)
    let v = this.captured.get(value)
    if (v === undefined) {
      v = new Var(value.aval)
      this.captured.set(value, v)
    }
    return v
  }
}

/** The error for a tracer that was stored and is used after its traced function has returned. */
export function leaked({ trace, atom, aval }: Tracer): SwitchyardError {
  const maker = trace.equations.find(e => (e.outputs as readonly Atom[]).includes(atom))
  return new SwitchyardError(
    `${formatAval(aval)}, ${maker ? `the result of ${maker.primitive}` : 'an argument'} in the traced function ${trace.name || '(anonymous)'}, ` +
      'was used after its function had returned. It holds no data: return it from the function instead of storing it',
  )
}

/** The traces of the functions that are running now, innermost last. */
const traces: Trace[] = []
/** Computes, outside of tracing, primitives none of whose operands has an evaluator. */
let fallback: Evaluator | null = null

export const isTracing = (): boolean => traces.length > 0

/**
 * Reports a read that fails. Inside a traced function, the function's call throws the error (even if the function
 * catches it here, or never awaits the read), and the returned promise stays pending: a rejection that nobody awaits
 * would end the process. Elsewhere the promise is rejected.
 */
export function failRead(error: SwitchyardError): Promise<never> {
  const current = traces.at(-1)
  if (current === undefined) return Promise.reject(error)
  current.refused ??= error
  return new Promise(() => undefined)
}

/** The failure of a read of a tracer: it has no data. See `failRead`. */
export function refuseRead(tracer: Tracer): Promise<never> {
  if (!tracer.trace.open) return failRead(leaked(tracer))
  const reader = traces.at(-1)?.name || 'a traced function'
  return failRead(
    new SwitchyardError(
      `a traced ${formatAval(tracer.aval)} has no data yet, so ${reader} cannot read it: return it from the function and read it outside`,
    ),
  )
}

/** Sets the evaluator of primitives that have no concrete operand (iota, a broadcast literal). */
export function setFallbackEvaluator(evaluator: Evaluator): void {
  fallback = evaluator
}

/**
 * Applies a primitive. While a function is traced this adds an equation to its program; otherwise it computes at once.
 * Throws a ShapeError when the operands do not fit.
 */
export function bind<P extends PrimitiveName>(
  primitive: P,
  inputs: readonly Value[],
  params: PrimitiveParams[P],
): Value[] {
  const outputs = shapeOf(
    primitive,
    inputs.map(v => v.aval),
    params,
  )
  if (traces.length > 0) return traces[traces.length - 1].emit(primitive, inputs, params, outputs)
  for (const v of inputs) if (v instanceof Tracer) throw leaked(v)
  const evaluator = inputs.find(v => v.evaluator !== null)?.evaluator ?? fallback
  if (evaluator === null) throw new Error(`${primitive} has no concrete operand and no evaluator is set`)
  return evaluator.evaluate(primitive, inputs, params, outputs)
}

export interface Traced {
  /** Inputs: the declared ones, then one for each captured value. */
  program: Program
  captured: Value[]
}

/**
 * Runs `f` on tracers of the given types and returns the program that it wrote. `name`: the function's name, for
 * errors.
 */
export function trace(avals: readonly Aval[], f: (inputs: Value[]) => readonly Value[], name = ''): Traced {
  const t = new Trace(name)
  const inputs = avals.map(a => t.input(a))
  traces.push(t)
  try {
    const outputs = f(inputs).map(v => t.atomOf(v))
    if (t.refused) throw t.refused
    const inputVars = [...inputs.map(i => i.atom as Var), ...t.captured.values()]
    return { program: new Program(inputVars, t.equations, outputs), captured: [...t.captured.keys()] }
  } catch (error) {
    // An error after a failed read may be a consequence of it: report the read.
    throw t.refused ?? error
  } finally {
    traces.pop()
    t.open = false
  }
}

/** As `trace`, for functions that use no values from outside: throws if `f` captures one. */
export function traceClosed(avals: readonly Aval[], f: (inputs: Value[]) => readonly Value[]): Program {
  const { program, captured } = trace(avals, f)
  if (captured.length > 0) throw new Error('a rule captured a value from outside its program')
  return program
}

/**
 * Applies a program's equations to values one by one. While a function is traced, this inlines them into its program.
 */
export function evalProgram(program: Program, inputs: readonly Value[]): Value[] {
  const env = new Map<Var, Value>()
  const read = (a: Atom): Value => (a instanceof Lit ? new Literal(a.value, a.aval.dtype) : env.get(a)!)
  program.inputs.forEach((v, i) => env.set(v, inputs[i]))
  for (const eqn of program.equations) {
    const outputs = bind(eqn.primitive, eqn.inputs.map(read), eqn.params)
    eqn.outputs.forEach((v, i) => env.set(v, outputs[i]))
  }
  return program.outputs.map(read)
}
