import { formatAval } from '../../../program/aval.js'
import type { Program } from '../../../program/program.js'

/**
 * The attributes of main's inputs that donate their memory, '' for inputs that are not donated. A donated input gives
 * its memory to the first result of its type that has none yet: a step's state leaves in the order in which it enters.
 * If there is none, XLA may use the memory as it likes.
 */
export function aliasesOf(program: Program, donated: readonly boolean[]): string[] {
  const free = new Map<string, number[]>()
  program.outputs.forEach((o, i) => {
    const type = formatAval(o.aval)
    free.set(type, [...(free.get(type) ?? []), i])
  })
  return program.inputs.map((v, i) => {
    if (!donated[i]) return ''
    const output = free.get(formatAval(v.aval))?.shift()
    return output === undefined ? ' {jax.buffer_donor = true}' : ` {tf.aliasing_output = ${output} : i32}`
  })
}
