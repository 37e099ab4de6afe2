import type { Aval } from '../program/aval.js'
import type { Program } from '../program/program.js'
import type { ProgramsAtSizes, SizedProgram } from './backend.js'
import { allEqual, evaluate, formulasOf } from './formulas.js'
import type { Formula, Values } from './formulas.js'

/** A program with its types. */
export const sizedProgram = (program: Program): SizedProgram => ({
  inputs: program.inputs.map(v => v.aval),
  outputs: program.outputs.map(o => o.aval),
  program: () => program,
})

/** The length of an input's axis, which is another one in each example. */
interface Length {
  readonly input: number
  readonly axis: number
  readonly values: Values
}

/**
 * The types of a function's results at any sizes, from those of its inputs, by formulas that hold in all examples. null
 * if there is not exactly one formula for each length. The formulas give null at sizes where a length would be
 * negative: there they cannot hold, as for all elements but the first of an array of none.
 */
export function outputTypesOf(examples: ProgramsAtSizes): ((inputs: readonly Aval[]) => Aval[] | null) | null {
  const [first] = examples
  if (examples.some(e => e.outputs.length !== first.outputs.length)) return null
  const lengths = new Map<string, Length>()
  first.inputs.forEach((v, input) =>
    v.aval.shape.forEach((_, axis) => {
      const values = examples.map(e => e.inputs[input].aval.shape[axis])
      if (!allEqual(values) && !lengths.has(values.join())) lengths.set(values.join(), { input, axis, values })
    }),
  )
  const outputs: { dtype: Aval['dtype']; axes: (number | Formula<Length>)[] }[] = []
  for (const [i, { aval }] of first.outputs.entries()) {
    const types = examples.map(e => e.outputs[i].aval)
    if (types.some(t => t.dtype !== aval.dtype || t.shape.length !== aval.shape.length)) return null
    const axes: (number | Formula<Length>)[] = []
    for (const axis of aval.shape.keys()) {
      const values = types.map(t => t.shape[axis])
      const [formula, ...others] = allEqual(values) ? values.slice(0, 1) : formulasOf(values, [...lengths.values()])
      if (formula === undefined || others.length > 0) return null
      axes.push(formula)
    }
    outputs.push({ dtype: aval.dtype, axes })
  }
  return inputs => {
    const types = outputs.map(({ dtype, axes }) => ({
      dtype,
      shape: axes.map(formula =>
        typeof formula === 'number' ? formula : evaluate(formula, ({ input, axis }) => inputs[input].shape[axis]),
      ),
    }))
    return types.some(({ shape }) => shape.some(length => length < 0)) ? null : types
  }
}
