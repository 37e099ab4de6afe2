import type { HostTensor } from '../../../base/host-tensor.js'
import { withBound } from '../bound.js'
import type { Backend, Buffer } from '../backend.js'
import { interpret } from './interpret.js'

const put = (tensor: HostTensor): Buffer => ({ aval: tensor, read: async () => tensor })

/** The backend that interprets: slow, and what every other one is compared with. */
export const referenceBackend: Backend = {
  name: 'reference',
  describe: async () => 'reference interpreter',
  put,
  compile: async program => ({
    stats: { nodes: program.equations.length, fusedLoops: 0, inPlaceBytes: 0, boundBytes: 0 },
    run: async inputs => interpret(program, await Promise.all(inputs.map(b => b.read()))).map(put),
  }),
  bind: async (_, bound) => ({
    copied: [],
    at: async program => withBound(await referenceBackend.compile(program), bound),
  }),
}
