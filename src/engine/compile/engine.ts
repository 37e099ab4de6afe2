import type { HostTensor } from '../../base/tensor.js'
import { formatAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import type { PrimitiveName, PrimitiveParams } from '../program/primitives.js'
import { Lit, Program, Var } from '../program/program.js'
import type { Equation } from '../program/program.js'
import { Literal, Value } from '../program/value.js'
import type { Evaluator } from '../program/value.js'
import type { Backend, Buffer, Executable } from './backend.js'

/** An array that exists, or is being computed: a future for a backend's buffer. */
export class Concrete extends Value {
  constructor(readonly aval: Aval, override readonly evaluator: Engine, readonly buffer: Promise<Buffer>) {
    super()
    // A failed computation is reported to whoever reads the array, not as an unhandled rejection.
    buffer.catch(() => undefined)
  }

  async read(): Promise<HostTensor> {
    return (await this.buffer).read()
  }
}

/** A backend with its cache of compiled programs: runs programs, and single primitives outside `jit`. */
export class Engine implements Evaluator {
  private readonly cache = new Map<string, Promise<Executable>>()

  constructor(readonly backend: Backend) {}

  put(tensor: HostTensor): Concrete {
    return new Concrete({ dtype: tensor.dtype, shape: tensor.shape }, this, Promise.resolve(this.backend.put(tensor)))
  }

  evaluate<P extends PrimitiveName>(primitive: P, inputs: readonly Value[], params: PrimitiveParams[P], outputs: readonly Aval[]): Concrete[] {
    const vars: Var[] = []
    const atoms = inputs.map(x => {
      if (x instanceof Literal) return new Lit(x.value, x.dtype)
      const v = new Var(x.aval)
      vars.push(v)
      return v
    })
    const results = outputs.map(a => new Var(a))
    const eqn = { primitive, inputs: atoms, params, outputs: results } as unknown as Equation
    return this.run(new Program(vars, [eqn], results), inputs.filter(x => !(x instanceof Literal)))
  }

  /** Runs a program; returns at once, with futures. */
  run(program: Program, inputs: readonly Value[]): Concrete[] {
    const executable = this.compile(program)
    const results = Promise.all([executable, ...inputs.map(x => this.bufferOf(x))] as const)
      .then(([e, ...buffers]) => e.run(buffers))
    return program.outputs.map((o, i) => new Concrete(o.aval, this, results.then(r => r[i])))
  }

  private compile(program: Program): Promise<Executable> {
    const key = program.toString()
    let executable = this.cache.get(key)
    if (!executable) {
      executable = this.backend.compile(program)
      this.cache.set(key, executable)
    }
    return executable
  }

  private bufferOf(x: Value): Promise<Buffer> {
    if (x instanceof Concrete && x.evaluator === this) return x.buffer
    if (x instanceof Concrete) return x.read().then(tensor => this.backend.put(tensor))
    throw new Error(`expected a concrete array, got a traced ${formatAval(x.aval)}`)
  }
}
