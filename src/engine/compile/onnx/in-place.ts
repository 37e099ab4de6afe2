import { is } from '../../program/program.js'
import type { Atom, Equation, Program } from '../../program/program.js'
import type { Segments } from '../segments.js'
import { isRowWrite } from './rules/indexing.js'

/** How an executable reuses the memory of its inputs. */
export interface Donation {
  readonly donated: readonly boolean[]
  /** For each result of the main part, the position of the input whose memory it takes, or null. */
  readonly donors: readonly (number | null)[]
}

/** How a program reuses memory: the main part takes that of donated inputs which no loop reads. */
export function donationOf({ main, loops }: Pick<Segments, 'main' | 'loops'>, donated: readonly boolean[]): Donation {
  const read = new Set(loops.flatMap(l => l.inputs))
  return {
    donated,
    donors: writtenInPlace(
      main,
      main.inputs.map((v, i) => donated[i] && !read.has(v)),
    ),
  }
}

/**
 * For each output, the position of the input whose memory it may take, or null. It may if it is a write of
 * a window (dynamicUpdateSlice) or of rows (`isRowWrite`) into a donated input that nothing else reads. ONNX Runtime
 * then writes only that part: ScatterND copies its operand unless the result has the same address.
 */
function writtenInPlace({ equations, inputs, outputs }: Program, donated: readonly boolean[]): (number | null)[] {
  const makers = new Map<Atom, number>(equations.flatMap((eqn, i) => eqn.outputs.map(o => [o, i] as const)))
  const reads = new Map<Atom, number>()
  for (const atom of [...equations.flatMap(e => e.inputs), ...outputs]) reads.set(atom, (reads.get(atom) ?? 0) + 1)
  const positions = new Map<Atom, number>(inputs.map((v, i) => [v, i]))
  return outputs.map(output => {
    const eqn = equations[makers.get(output) ?? -1]
    if (!eqn || !isPartWrite(eqn)) return null
    const [operand] = eqn.inputs
    const position = positions.get(operand)
    return position !== undefined && donated[position] && reads.get(operand) === 1 ? position : null
  })
}

const isPartWrite = (eqn: Equation): boolean =>
  is(eqn, 'dynamicUpdateSlice') || (is(eqn, 'scatter') && isRowWrite(eqn.params))
