import { hostFrom, toNumbers } from '../../base/host-tensor.js'
import { sameAval, sameShape } from '../program/aval.js'
import { range } from '../program/ops.js'
import type { DotParams, PrimitiveName } from '../program/primitives.js'
import { is, Lit, printParam, Program, Var } from '../program/program.js'
import type { Atom, Equation } from '../program/program.js'
import { withoutDeadCode } from './dead-code.js'

/**
 * An equivalent program with fewer operations. Calls are inlined, equal equations are computed once, identities and
 * data movements that cancel are removed, transpositions are folded into the matrix products that read them, and what
 * no output needs is removed.
 *
 * Results equal the original's bit for bit, with two exceptions:
 *
 * - The sign of a zero: x + 0 and the sum of a single element become x, which for x = -0 should be +0 (IEEE 754).
 * - The last bits of a matrix product of which an operand or the result is transposed, in ONNX Runtime: how its kernels
 *   block the sum depends on the layout and the number of rows and columns. In the interpreter such products are equal.
 *
 * In particular, additions keep their order, since (a + b) + c and a + (b + c) round differently.
 */
export function simplify(program: Program): Program {
  const writer = new Simplifier()
  const outputs = writer.inline(program, program.inputs)
  return withoutDeadCode(new Program(program.inputs, writer.equations, outputs))
}

interface WrittenEquation {
  readonly params: Equation['params']
  readonly outputs: readonly Var[]
  /** The parameters' text, once it was needed. */
  text?: string
}

class Simplifier {
  readonly equations: Equation[] = []
  /** The equation that defines a value of the new program. */
  private readonly source = new Map<Atom, Equation>()
  /** The equations written so far, by their primitive and inputs. */
  private readonly written = new Map<string, WrittenEquation[]>()
  /** A number for each variable, for the texts of equations. */
  private readonly ids = new Map<Var, number>()

  /** Writes a program's equations with these inputs; returns its outputs. */
  inline(program: Program, inputs: readonly Atom[]): Atom[] {
    const env = new Map<Var, Atom>()
    const read = (a: Atom): Atom => (a instanceof Lit ? a : env.get(a)!)
    program.inputs.forEach((v, i) => env.set(v, inputs[i]))
    for (const eqn of program.equations) {
      const results = this.add({ ...eqn, inputs: eqn.inputs.map(read) })
      eqn.outputs.forEach((v, i) => env.set(v, results[i]))
    }
    return program.outputs.map(read)
  }

  /** Writes an equation in its simplest form, or finds an equal one written before; returns its outputs. */
  private add(eqn: Equation): readonly Atom[] {
    if (is(eqn, 'call') || is(eqn, 'linearCall')) return this.inline(eqn.params.program, eqn.inputs)
    const rewritten = this.rewrite(eqn)
    if (rewritten instanceof Var || rewritten instanceof Lit) return [rewritten]
    if (rewritten !== eqn) return this.add(rewritten)
    if (is(eqn, 'optimizationBarrier')) return this.emit(eqn)
    const simple = withSimplePrograms(eqn)
    const key = `${eqn.primitive} ${eqn.inputs.map(a => this.nameOf(a)).join(' ')}`
    const others = this.written.get(key)
    // Most equations are the only ones with their inputs: the texts of their parameters, which may be whole programs,
    // are then not needed.
    if (others) {
      const text = printParam(simple.params, '')
      const same = others.find(o => (o.text ??= printParam(o.params, '')) === text)
      if (same) return same.outputs
    }
    const outputs = this.emit(simple)
    const written = { params: simple.params, outputs }
    if (others) others.push(written)
    else this.written.set(key, [written])
    return outputs
  }

  private emit(eqn: Equation): readonly Var[] {
    // A program that is inlined twice defines new variables the second time.
    const isRepeated = eqn.outputs.some(o => this.source.has(o))
    const written = isRepeated ? { ...eqn, outputs: eqn.outputs.map(o => new Var(o.aval)) } : eqn
    this.equations.push(written)
    for (const o of written.outputs) this.source.set(o, written)
    return written.outputs
  }

  /** A text that is the same for equal constants and for the same variable only. */
  private nameOf(a: Atom): string {
    if (a instanceof Lit) return `${Object.is(a.value, -0) ? '-0' : a.value}${typeof a.value}:${a.aval.dtype}`
    let id = this.ids.get(a)
    if (id === undefined) this.ids.set(a, (id = this.ids.size))
    return `v${id}`
  }

  /** The equation that computes a value, if it applies this primitive. */
  private madeBy<P extends PrimitiveName>(a: Atom, primitive: P): Equation<P> | undefined {
    const eqn = this.source.get(a)
    return eqn && is(eqn, primitive) ? eqn : undefined
  }

  /** The scalar of which a value consists, if it is a constant or a broadcast constant. */
  private constant(a: Atom): number | undefined {
    if (a instanceof Lit) return Number(a.value)
    const filled = this.madeBy(a, 'broadcastInDim')?.inputs[0]
    return filled instanceof Lit ? Number(filled.value) : undefined
  }

  /** The equation itself, a simpler one with the same result, or the value that it would compute. */
  private rewrite(eqn: Equation): Equation | Atom {
    const [x, y] = eqn.inputs
    if (is(eqn, 'add')) {
      if (this.constant(x) === 0) return y
      if (this.constant(y) === 0) return x
    } else if (is(eqn, 'sub')) {
      if (this.constant(y) === 0) return x
    } else if (is(eqn, 'mul')) {
      if (this.constant(x) === 1) return y
      if (this.constant(y) === 1) return x
    } else if (is(eqn, 'div')) {
      if (this.constant(y) === 1) return x
    } else if (is(eqn, 'pow')) {
      if (this.constant(y) === 1) return x
    } else if (is(eqn, 'neg')) {
      const inner = this.madeBy(x, 'neg')
      if (inner) return inner.inputs[0]
    } else if (is(eqn, 'select')) {
      if (eqn.inputs[1] === eqn.inputs[2]) return eqn.inputs[1]
      const condition = this.constant(x)
      const chosen = eqn.inputs[condition === 0 ? 2 : 1]
      if (condition !== undefined && sameAval(chosen.aval, eqn.outputs[0].aval)) return chosen
    } else if (is(eqn, 'broadcastInDim')) {
      if (sameShape(x.aval.shape, eqn.params.shape)) return x
      const inner = this.madeBy(x, 'broadcastInDim')
      if (inner)
        return become(eqn, 'broadcastInDim', inner.inputs, {
          shape: eqn.params.shape,
          dims: inner.params.dims.map(d => eqn.params.dims[d]),
        })
    } else if (is(eqn, 'reshape')) {
      if (sameShape(x.aval.shape, eqn.params.shape)) return x
      const inner = this.madeBy(x, 'reshape')
      if (inner) return become(eqn, 'reshape', inner.inputs, eqn.params)
      const filled = this.madeBy(x, 'broadcastInDim')
      if (filled && filled.inputs[0].aval.shape.length === 0)
        return become(eqn, 'broadcastInDim', filled.inputs, { shape: eqn.params.shape, dims: [] })
    } else if (is(eqn, 'transpose')) {
      return this.rewriteTranspose(eqn)
    } else if (is(eqn, 'dotGeneral')) {
      return this.foldTransposes(eqn)
    } else if (is(eqn, 'convertElementType')) {
      if (x.aval.dtype === eqn.params.dtype) return x
      if (x instanceof Lit && eqn.params.dtype === 'float32')
        return new Lit(Math.fround(toNumbers(hostFrom(x.aval.dtype, [], [Number(x.value)]))[0]), 'float32')
    } else if (is(eqn, 'reduceSum') || is(eqn, 'reduceMax') || is(eqn, 'reduceMin')) {
      if (eqn.params.axes.every(axis => x.aval.shape[axis] === 1))
        return become(eqn, 'reshape', [x], { shape: eqn.outputs[0].aval.shape })
    }
    return eqn
  }

  private rewriteTranspose(eqn: Equation<'transpose'>): Equation | Atom {
    const [x] = eqn.inputs
    const { perm } = eqn.params
    if (perm.every((p, i) => p === i)) return x
    const inner = this.madeBy(x, 'transpose')
    if (inner) return become(eqn, 'transpose', inner.inputs, { perm: perm.map(p => inner.params.perm[p]) })
    // If only axes of length 1 change their position, the data does not move.
    const longAxes = perm.filter(p => x.aval.shape[p] !== 1)
    if (longAxes.every((p, i) => i === 0 || longAxes[i - 1] < p))
      return become(eqn, 'reshape', [x], { shape: eqn.outputs[0].aval.shape })
    const dot = this.madeBy(x, 'dotGeneral')
    if (!dot) return eqn
    // [batch, left, right] -> [batch, right, left] is the product with its operands swapped.
    const { contract, batch } = dot.params
    const [a, b] = dot.inputs
    const numBatch = batch[0].length
    const numLeft = a.aval.shape.length - numBatch - contract[0].length
    const numRight = b.aval.shape.length - numBatch - contract[1].length
    const swapped = [...range(numBatch), ...range(numRight, numBatch + numLeft), ...range(numLeft, numBatch)]
    if (!perm.every((p, i) => p === swapped[i])) return eqn
    return become(eqn, 'dotGeneral', [b, a], { contract: [contract[1], contract[0]], batch: [batch[1], batch[0]] })
  }

  /**
   * Reads a transposed operand before its transposition, with the contracted and batch axes renumbered. Possible if the
   * free axes have the same order before and after it, because that is their order in the result.
   */
  private foldTransposes(eqn: Equation<'dotGeneral'>): Equation | Atom {
    for (const side of [0, 1] as const) {
      const inner = this.madeBy(eqn.inputs[side], 'transpose')
      if (!inner) continue
      const { perm } = inner.params
      const used = new Set([...eqn.params.contract[side], ...eqn.params.batch[side]])
      const free = perm.filter((_, i) => !used.has(i))
      if (!free.every((p, i) => i === 0 || free[i - 1] < p)) continue
      const inputs = eqn.inputs.map((a, i) => (i === side ? inner.inputs[0] : a))
      const through = (axes: DotParams['contract']): DotParams['contract'] => {
        const mapped = axes[side].map(i => perm[i])
        return side === 0 ? [mapped, axes[1]] : [axes[0], mapped]
      }
      return become(eqn, 'dotGeneral', inputs, {
        contract: through(eqn.params.contract),
        batch: through(eqn.params.batch),
      })
    }
    return eqn
  }
}

/** An equation that replaces `eqn`: another primitive, with a result of the same type. */
function become<P extends PrimitiveName>(
  eqn: Equation,
  primitive: P,
  inputs: readonly Atom[],
  params: Equation<P>['params'],
): Equation {
  const [output] = eqn.outputs
  return { primitive, inputs, params, outputs: [new Var(output.aval)] } as unknown as Equation
}

/** The simplified parameters of composites, which calls with operands of the same types share. */
const simpleComposites = new WeakMap<Equation['params'], Equation['params']>()

/** The equation with simplified subprograms, and without a composite's custom derivative, which is no longer needed. */
function withSimplePrograms(eqn: Equation): Equation {
  if (!carriesPrograms(eqn)) return eqn
  if (!is(eqn, 'composite')) return { ...eqn, params: withSimple(eqn.params) } as Equation
  let params = simpleComposites.get(eqn.params)
  if (!params) simpleComposites.set(eqn.params, (params = withSimple(eqn.params)))
  return { ...eqn, params } as Equation
}

function withSimple(params: Equation['params']): Equation['params'] {
  const entries = Object.entries(params)
    .filter(([key]) => key !== 'vjp' && key !== 'jvp')
    .map(([key, value]: [string, unknown]) => [key, simpleParam(value)])
  return Object.fromEntries(entries) as Equation['params']
}

function carriesPrograms({ params }: Equation): boolean {
  for (const value of Object.values(params) as unknown[])
    if (value instanceof Program || (Array.isArray(value) && value.some(v => v instanceof Program))) return true
  return false
}

function simpleParam(value: unknown): unknown {
  if (value instanceof Program) return simplify(value)
  return Array.isArray(value) && value.some(v => v instanceof Program) ? value.map(simpleParam) : value
}
