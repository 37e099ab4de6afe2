import type { HostTensor } from '../../../base/host-tensor.js'
import type { Program } from '../../program/program.js'
import type { Backend, Buffer, ExecutableStats } from '../backend.js'
import { withWeights } from '../with-weights.js'
import { interpret } from './interpret.js'

const put = (tensor: HostTensor): Buffer => ({ aval: tensor, read: async () => tensor })

const statsOf = ({ equations }: Program): ExecutableStats => ({
  nodes: equations.length,
  generators: 0,
  fusedLoops: 0,
  inPlaceBytes: 0,
  weightBytes: 0,
})

/** The backend that interprets programs: slow, the standard that every other backend is compared with. */
export const referenceBackend: Backend = {
  name: 'reference',
  describe: async () => 'reference interpreter',
  put,
  compile: async program => ({
    stats: statsOf(program),
    run: async inputs => interpret(program, await Promise.all(inputs.map(b => b.read()))).map(put),
    release: async () => undefined,
  }),
  explain: program => ({
    program,
    generators: [],
    loops: [],
    inPlaceArrays: 0,
    nodes: program.equations.map(({ primitive }) => ({ operation: primitive, text: primitive })),
    stats: statsOf(program),
  }),
  compileWithWeights: async (_, weights) => ({
    copied: [],
    at: async sizes => withWeights(await referenceBackend.compile(sizes.program()), weights),
    release: async () => undefined,
  }),
}
