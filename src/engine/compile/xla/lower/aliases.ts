import { formatAval } from '../../../program/aval.js'
import type { Program } from '../../../program/program.js'

/**
 * For each input, the result that takes its memory: undefined if the input is not donated, null if it is donated and no
 * result takes its memory as a whole. A donated input goes to the first result of its type that has none yet: a step's
 * state leaves in the order in which it enters.
 */
export function aliasesOf(program: Program, donated: readonly boolean[]): (number | null | undefined)[] {
  const free = new Map<string, number[]>()
  program.outputs.forEach((o, i) => {
    const type = formatAval(o.aval)
    const results = free.get(type)
    if (results) results.push(i)
    else free.set(type, [i])
  })
  return program.inputs.map((v, i) => (donated[i] ? (free.get(formatAval(v.aval))?.shift() ?? null) : undefined))
}

/** The attributes of main's parameter for an alias of `aliasesOf`. XLA uses the memory that is left as it likes. */
export function aliasText(alias: number | null | undefined): string {
  if (alias === undefined) return ''
  return alias === null ? ' {jax.buffer_donor = true}' : ` {tf.aliasing_output = ${alias} : i32}`
}
