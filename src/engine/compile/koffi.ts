import { SwitchyardError } from '../../base/errors.js'
import { lazyPromise } from '../../base/promise-cache.js'

/** The package that calls functions of shared libraries. */
export type Koffi = (typeof import('koffi'))['default']

/** Loads koffi, an optional dependency. Throws a SwitchyardError that says how to install it. */
export const loadKoffi: () => Promise<Koffi> = lazyPromise(load)

async function load(): Promise<Koffi> {
  let koffi: Koffi
  try {
    koffi = (await import('koffi')).default
  } catch (error) {
    throw new SwitchyardError(
      `the package koffi, which calls shared libraries, cannot be loaded (${error instanceof Error ? error.message.split('\n')[0] : error}). ` +
        'Install it: npm install koffi@3.3.4',
      { cause: error },
    )
  }
  // koffi runs calls on stacks of its own. XLA's compiler needs more than their default size, and crashes without.
  // The sizes cannot be changed after the first call, which another user of koffi in this process may have made.
  koffi.config({ sync_stack_size: STACK_BYTES, async_stack_size: STACK_BYTES })
  return koffi
}

/** The greatest size that koffi allows. */
const STACK_BYTES = 16 << 20
