import { dtypes } from '../src/base/dtypes.js'
import { sizeOf } from '../src/base/host-tensor.js'
import type { Aval } from '../src/engine/program/aval.js'
import { Var } from '../src/engine/program/program.js'
import type { Program } from '../src/engine/program/program.js'

const bytesOf = ({ dtype, shape }: Aval): number => sizeOf(shape) * dtypes[dtype].bytes

/** Primitives whose results need no memory: they can be read from the operand's memory. */
const views: ReadonlySet<string> = new Set(['broadcastInDim', 'reshape', 'iota', 'stopGradient'])

/**
 * The most bytes of intermediate values that are alive at once when equations run in order and each value is freed
 * after its last use: activations and gradients. Inputs, outputs and the values inside subprograms do not count.
 */
export function peakIntermediateBytes(program: Program): number {
  const lastUse = new Map<Var, number>()
  program.equations.forEach((eqn, i) => {
    for (const v of eqn.inputs) if (v instanceof Var) lastUse.set(v, i)
  })
  for (const v of program.outputs) if (v instanceof Var) lastUse.delete(v)
  const freedAfter = new Map<number, Var[]>()
  for (const [v, i] of lastUse) freedAfter.set(i, [...(freedAfter.get(i) ?? []), v])
  const owned = new Set<Var>()
  let [now, peak] = [0, 0]
  program.equations.forEach((eqn, i) => {
    for (const v of eqn.outputs) {
      if (!views.has(eqn.primitive) && lastUse.has(v)) {
        owned.add(v)
        now += bytesOf(v.aval)
      }
    }
    peak = Math.max(peak, now)
    for (const v of freedAfter.get(i) ?? []) if (owned.has(v)) now -= bytesOf(v.aval)
  })
  return peak
}
