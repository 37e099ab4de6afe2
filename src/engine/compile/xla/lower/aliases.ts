import { formatAval } from '../../../program/aval.js'
import type { Atom, Program } from '../../../program/program.js'
import type { LayoutTexts } from './shardy.js'

/**
 * For each input, the result that takes its memory: undefined if the input is not donated, null if it is donated and no
 * result takes its memory as a whole. A donated input goes to the first result of its type and layout that has none
 * yet: a step's state leaves in the order in which it enters. `layouts`: of inputs and results on a mesh, as texts.
 */
export function aliasesOf(
  program: Program,
  donated: readonly boolean[],
  layouts: LayoutTexts | null = null,
): (number | null | undefined)[] {
  const free = new Map<string, number[]>()
  program.outputs.forEach((o, i) => {
    const kind = kindOf(o, layouts?.outputs[i])
    const results = free.get(kind)
    if (results) results.push(i)
    else free.set(kind, [i])
  })
  return program.inputs.map((v, i) =>
    donated[i] ? (free.get(kindOf(v, layouts?.inputs[i]))?.shift() ?? null) : undefined,
  )
}

const kindOf = ({ aval }: Atom, layout = ''): string => `${formatAval(aval)} ${layout}`

/** The attribute of main's parameter for an alias of `aliasesOf`. XLA uses the memory that is left as it likes. */
export function aliasText(alias: number | null | undefined): string | undefined {
  if (alias === undefined) return undefined
  return alias === null ? 'jax.buffer_donor = true' : `tf.aliasing_output = ${alias} : i32`
}
