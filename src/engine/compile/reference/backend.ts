import type { HostTensor } from '../../../base/tensor.js'
import type { Backend, Buffer } from '../backend.js'
import { interpret } from './interpret.js'

const put = (tensor: HostTensor): Buffer => ({ aval: tensor, read: async () => tensor })

/** The backend that interprets: slow, and what every other one is compared with. */
export const referenceBackend: Backend = {
  name: 'reference',
  put,
  compile: async program => ({
    run: async inputs => interpret(program, await Promise.all(inputs.map(b => b.read()))).map(put),
  }),
}
