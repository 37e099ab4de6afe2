import { is, Var } from '../program/program.js'
import type { Atom, Equation, Program } from '../program/program.js'
import { scanParts } from './masks.js'

/** The mesh axes along which a value differs from device to device. Along all other axes every device has the same. */
export type Varying = ReadonlySet<string>

const nowhere: Varying = new Set()
const union = (sets: readonly Varying[]): Varying => {
  const used = sets.filter(s => s.size > 0)
  return used.length <= 1 ? (used[0] ?? nowhere) : new Set(used.flatMap(s => [...s]))
}
const without = (set: Varying, axes: readonly string[]): Varying => new Set([...set].filter(a => !axes.includes(a)))
const withAxis = (set: Varying, axis: string): Varying => new Set([...set, axis])

/** The axes along which the outputs of a `shardMap`'s body vary, given those of its inputs. */
export function varyingAxes(body: Program, inputs: readonly Varying[]): Varying[] {
  const env = new Map<Var, Varying>()
  const read = (a: Atom): Varying => (a instanceof Var && env.get(a)) || nowhere
  body.inputs.forEach((v, i) => env.set(v, inputs[i]))
  for (const eqn of body.equations) {
    const outputs = outputsOf(eqn, eqn.inputs.map(read))
    eqn.outputs.forEach((v, i) => env.set(v, outputs[i]))
  }
  return body.outputs.map(read)
}

function outputsOf(eqn: Equation, inputs: readonly Varying[]): readonly Varying[] {
  const all = union(inputs)
  if (is(eqn, 'psum'))
    return [
      without(
        all,
        eqn.params.axes.map(a => a.name),
      ),
    ]
  if (is(eqn, 'allGather')) return [without(all, [eqn.params.axis.name])]
  if (is(eqn, 'reduceScatter') || is(eqn, 'allToAll') || is(eqn, 'ppermute') || is(eqn, 'axisIndex'))
    return [withAxis(all, eqn.params.axis.name)]
  if (is(eqn, 'call') || is(eqn, 'composite') || is(eqn, 'linearCall')) return varyingAxes(eqn.params.program, inputs)
  if (is(eqn, 'scan')) return ofScan(eqn, inputs)
  if (is(eqn, 'while')) return ofWhile(eqn, inputs)
  if (is(eqn, 'cond')) {
    const branches = eqn.params.branches.map(b => varyingAxes(b, inputs.slice(1)))
    return eqn.outputs.map((_, i) => union([inputs[0], ...branches.map(b => b[i])]))
  }
  // A shardMap within the body is over another mesh, whose devices all get what this device has.
  return eqn.outputs.map(() => all)
}

/** Repeats the step of a loop until the carry varies along no more axes. `step`: carry -> carry, then other outputs. */
function untilSettled(start: readonly Varying[], step: (carry: readonly Varying[]) => Varying[]): Varying[] {
  for (let carry = start; ;) {
    const after = step(carry)
    const next = carry.map((c, i) => union([c, after[i]]))
    if (next.every((n, i) => n.size === carry[i].size)) return [...next, ...after.slice(carry.length)]
    carry = next
  }
}

function ofScan({ params }: Equation<'scan'>, inputs: readonly Varying[]): Varying[] {
  const [consts, carry, rows] = scanParts(inputs, params)
  return untilSettled(carry, c => varyingAxes(params.body, [...consts, ...c, ...rows]))
}

function ofWhile({ params }: Equation<'while'>, inputs: readonly Varying[]): Varying[] {
  const { condition, body, numConditionConsts: n, numBodyConsts: m } = params
  return untilSettled(inputs.slice(n + m), carry => {
    const [test] = varyingAxes(condition, [...inputs.slice(0, n), ...carry])
    return varyingAxes(body, [...inputs.slice(n, n + m), ...carry]).map(after => union([after, test]))
  })
}
