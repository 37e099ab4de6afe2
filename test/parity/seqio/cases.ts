import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The folder of SeqIO's and T5's reference values: the project's copy, or another that the environment names. */
const folder = process.env.SWITCHYARD_SEQIO_CASES ?? join(import.meta.dirname, '../../fixtures/seqio')

/** The cases of one file, such as `random.json`: a list, or a record of a list for each function. */
export function seqioCases<C>(file: string): C {
  return (JSON.parse(readFileSync(join(folder, file), 'utf8')) as { cases: C }).cases
}
