import { findPlugin } from '../src/engine/compile/xla/find-plugin.js'

/**
 * The PJRT plugin for tests of XLA. Without one they are skipped, unless REQUIRE_PJRT=true, which .ci/run sets once it
 * has installed a plugin: then its absence is a failure.
 */
export const xlaPlugin = findPlugin('cpu')?.path

if (!xlaPlugin) {
  const reason = 'no PJRT plugin was found: set SWITCHYARD_PJRT_PLUGIN, or pip install lammps-jax-pjrt-cpu'
  if (process.env.REQUIRE_PJRT === 'true') throw new Error(`REQUIRE_PJRT is set, but ${reason}`)
  console.log(`tests of XLA are skipped: ${reason}`)
}
