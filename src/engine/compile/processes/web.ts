import { SwitchyardError } from '../../../base/errors.js'
import type { Backend } from '../backend.js'

/** A browser is no process of a job: a bundle maps `#mpi` to this module. */
export const joinProcesses: (inner?: Backend) => Promise<never> = () =>
  Promise.reject(new SwitchyardError('several processes run in Node only: a browser cannot be one of them'))
