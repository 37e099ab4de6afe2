import { dtypes } from '../../../../base/dtypes.js'
import { SwitchyardError } from '../../../../base/errors.js'
import type { Aval } from '../../../program/aval.js'
import type { Program } from '../../../program/program.js'
import { Literal } from '../../../program/value.js'

export interface LoweringOptions {
  /** The inputs whose memory the results may take. */
  donated?: readonly boolean[]
}

/** A program as StableHLO text. */
export function toStableHlo(program: Program, { donated = [] }: LoweringOptions = {}): string {
  const names = new Map(program.inputs.map((v, i) => [v as unknown, `%x${i}`]))
  const lines = program.equations.map(({ primitive, inputs, outputs }, i) => {
    if (primitive !== 'add' || inputs.some(x => x instanceof Literal))
      throw new SwitchyardError(`${primitive} has no StableHLO lowering yet`)
    names.set(outputs[0], `%v${i}`)
    return `%v${i} = stablehlo.add ${inputs.map(x => names.get(x)).join(', ')} : ${typeOf(outputs[0].aval)}`
  })
  const types = program.outputs.map(o => typeOf(o.aval)).join(', ')
  const parameters = program.inputs.map(
    (v, i) => `%x${i}: ${typeOf(v.aval)}${donated[i] ? ' {jax.buffer_donor = true}' : ''}`,
  )
  return `module @program {
func.func public @main(${parameters.join(', ')}) -> (${types}) {
${lines.join('\n')}
return ${program.outputs.map(o => names.get(o)).join(', ')} : ${types}
}
}`
}

const typeOf = ({ dtype, shape }: Aval): string => `tensor<${[...shape, dtypes[dtype].short].join('x')}>`
